"""How long a notebook may take on a plain laptop."""

SECONDS_A_NOTEBOOK = 180
SECONDS_LONGER = {"07_diffusion": 240, "08_latent_diffusion": 240}  # train and sample from diffusion models
SECONDS_TO_FIRST_IMAGE = 20
