# %% [markdown]
# # Controls of notebook 03
#
# Each cell makes a claim false; see `course_utils.authoring.controls`. What the notebook's own functions do they do
# with the notebook's own names, so a control computes anew what the asserts look at.
#
# Three seeds, of first weights and of batches, were tried when the bounds were set (one thread, one processor):
#
# | | seed 0 | 1 | 2 | bound |
# | --- | --- | --- | --- | --- |
# | A1, error of the autoencoder trained here (PCA 88.1) | 60.6 | 60.2 | 63.4 | < 79 |
# | A1, what its code gains with 1, 2, 5 labels | .065 | .058 | .046 | > .01 |
# | A2, error after denoising (best simple way 104) | 78.5 | 79.6 | 80.9 | < 89 |
# | A2, the plain autoencoder's error | 160 | 159 | 152 | that is < .7 times this |
# | A2, r against noise: plain, taught noise, taught dropout | .22 .09 .68 | .20 .10 .69 | .19 .09 .56 | |
# | A2, r against lost pixels: the same three | .30 .39 .11 | .29 .41 .12 | .31 .39 .10 | |
# | A2, largest over smallest r of a patch | 1.27 | 1.31 | 1.34 | < 1.7 |
# | A3, a random code farther away than a test image's | .913 | .902 | .905 | > .85 |
# | A3, readable: nearer half, farther half of the random codes | .35 .22 | .37 .24 | .39 .25 | < .5, .05 apart |
#
# The bounds of r: taught noise below .6 of plain against noise, taught dropout below .7 of plain against lost pixels,
# each above 1.05 of plain against the other's damage.

# %% claim="A1.1"
# A network that was never trained.
with seeded(5):
    untrained = Autoencoder(latent_dim=16)
error = squared_error(over_batches(untrained, test.x), test.x).mean().item()
errors = errors | {"trained here": error, "shipped": error}

# %% claim="A1.1"
# The linear method itself.
errors = errors | {"trained here": errors["PCA"], "shipped": errors["PCA"]}

# %% claim="A1.2"
# The features of an encoder that was never trained.
with seeded(5):
    untrained = Autoencoder(latent_dim=16).eval()
both = {
    "train": over_batches(untrained.encode, train.x).numpy(),
    "test": over_batches(untrained.encode, test.x).numpy(),
}
found = torch.tensor([sum(accuracy(both, k, seed) for seed in range(3)) / 3 for k in label_counts])
means = means | {"code, shipped": found, "code, trained here": found}

# %% claim="A1.2"
# PCA instead of the codes.
means = means | dict.fromkeys(("code, shipped", "code, trained here"), means["PCA, 16 numbers"])

# %% claim="A1.3"
# It answers with the mean image whatever it sees.
weak = weak | {"autoencoder, shipped": weak["always the mean"]}

# %% claim="A1.3"
# It has learned to remove noise: then neither a blur nor PCA beats it.
taught = load_pretrained("denoising-autoencoder-mnist", "cpu")
error = [
    squared_error(over_batches(taught, noisy(test.x, sigma)), test.x).mean().item() for sigma in (0.5, 1.0)
]
weak, strong = weak | {"autoencoder, shipped": error[0]}, strong | {"autoencoder, shipped": error[1]}

# %% claim="A2.1"
# The plain autoencoder instead of the denoising one.
denoised = plain

# %% claim="A2.1"
# A blur in its place.
denoised = blur(x_tilde, best_blur(1.0))

# %% claim="A2.2"
# The plain autoencoder instead of the two that were taught.
r = dict.fromkeys(r, r["autoencoder"])

# %% claim="A2.2"
# One of them is shown larger shifts than the others.
far = shift_and_turn(test.x, degrees=0, shift=4 / 28, scale=0, generator=torch.Generator().manual_seed(5))
r = r | {"denoising, noise": r["denoising, noise"] | {"shift up to 1 pixel": moved(on_noise, far)}}

# %% claim="A2.3"
# A network that was never trained.
with seeded(5), torch.no_grad():
    untrained = nn.Sequential(nn.Linear(2, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 2))
    score = untrained(places) / sigma**2
away = (score - exact_score(places)).square().sum() / exact_score(places).square().sum()

# %% claim="A2.3"
# Each arrow points to the middle of all points.
score = (points.mean(dim=0) - places) / sigma**2
away = (score - exact_score(places)).square().sum() / exact_score(places).square().sum()

# %% claim="A3.1"
# A decoder that was never trained.
with seeded(5):
    untrained = Autoencoder(latent_dim=16).eval()
shares = shares | {
    "their reconstructions": is_readable(over_batches(untrained, test.x)).double().mean().item()
}

# %% claim="A3.1"
# Codes of real images instead of random ones.
shares = shares | {"codes drawn at random": shares["their reconstructions"]}

# %% claim="A3.1"
# Real images instead of noise.
shares = shares | {"pure noise": shares["real test images"]}

# %% claim="A3.2"
# Codes of other test images instead of random ones.
farther = auroc(normal=away[0][:500], anomalous=away[0][500:])
hits = [shares["their reconstructions"]] * 2

# %% claim="A3.2"
# The farther half first.
hits = hits[::-1]

# %% claim="A3.3"
# One Gaussian instead of the mixtures.
rows = [rows[0], *[rows[1]] * 4]

# %% claim="A3.3"
# Copies of training images.
rows = [*rows[:4], [*rows[4][:2], nearest(train.x[:1000])]]

# %% claim="A3.4"
# The mixed pixels instead of the decoded codes.
walks = walks | {"same digit: codes": walks["same digit: pixels"]}

# %% claim="A3.4"
# The way between two images of the same digit instead of the one between different digits.
walks = walks | {"different digits: codes": walks["same digit: codes"]}
