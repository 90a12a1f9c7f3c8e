# %% [markdown]
# # Plausible wrong answers to homework 06
#
# Each must be caught by the check of its exercise.


# %%
# WRONG q1: the class before the noise
def with_one_hot(z, y, classes):
    if ((y < 0) | (y >= classes)).any():
        raise ValueError(f"y must be in 0 … {classes - 1}")
    return torch.cat([F.one_hot(y, classes), z], dim=1)


# %%
# WRONG q1: counts the classes from 1
def with_one_hot(z, y, classes):
    if ((y < 0) | (y >= classes)).any():
        raise ValueError(f"y must be in 0 … {classes - 1}")
    return torch.cat([z, F.one_hot((y - 1) % classes, classes)], dim=1)


# %%
# WRONG q1: as many columns as the batch happens to need
def with_one_hot(z, y, classes):
    if ((y < 0) | (y >= classes)).any():
        raise ValueError(f"y must be in 0 … {classes - 1}")
    return torch.cat([z, F.one_hot(y)], dim=1)


# %%
# WRONG q1: accepts negative labels
def with_one_hot(z, y, classes):
    if (y >= classes).any():
        raise ValueError(f"y must be in 0 … {classes - 1}")
    return torch.cat([z, torch.eye(classes)[y]], dim=1)


# %%
# WRONG q1: accepts the label C
def with_one_hot(z, y, classes):
    if ((y < 0) | (y > classes)).any():
        raise ValueError(f"y must be in 0 … {classes - 1}")
    return torch.cat([z, F.one_hot(y, classes + 1)[:, :classes]], dim=1)


# %%
# WRONG q1: leaves the error to F.one_hot
def with_one_hot(z, y, classes):
    return torch.cat([z, F.one_hot(y, classes)], dim=1)


# %%
# WRONG q1: a message that does not say what is wrong
def with_one_hot(z, y, classes):
    if ((y < 0) | (y >= classes)).any():
        raise ValueError("only classes from the list")
    return torch.cat([z, F.one_hot(y, classes)], dim=1)


# %%
# WRONG q1: looks at the first label only
def with_one_hot(z, y, classes):
    if not 0 <= y[0] < classes:
        raise ValueError(f"y must be in 0 … {classes - 1}")
    return torch.cat([z, torch.eye(classes + 1)[y][:, :classes]], dim=1)


# %%
# WRONG q1: the label as one number
def with_one_hot(z, y, classes):
    if ((y < 0) | (y >= classes)).any():
        raise ValueError(f"y must be in 0 … {classes - 1}")
    return torch.cat([z, y[:, None]], dim=1)


# %%
# WRONG q2: each image with the vectors of all images
def projection_score(features, embedding, y, weight, bias):
    return features @ weight + bias + features @ embedding[y].T


# %%
# WRONG q2: sums over the batch
def projection_score(features, embedding, y, weight, bias):
    return features @ weight + bias + (embedding[y] * features).sum()


# %%
# WRONG q2: forgets the part for all classes
def projection_score(features, embedding, y, weight, bias):
    return (embedding[y] * features).sum(dim=1)


# %%
# WRONG q2: forgets the bias
def projection_score(features, embedding, y, weight, bias):
    return features @ weight + (embedding[y] * features).sum(dim=1)


# %%
# WRONG q2: forgets the part for the class
def projection_score(features, embedding, y, weight, bias):
    return features @ weight + bias


# %%
# WRONG q2: a mean in place of the inner product
def projection_score(features, embedding, y, weight, bias):
    return features @ weight + bias + (embedding[y] * features).mean(dim=1)


# %%
# WRONG q2: the first label for all images
def projection_score(features, embedding, y, weight, bias):
    return features @ weight + bias + features @ embedding[y[0]]


# %%
# WRONG q2: row i of the embedding for image i
def projection_score(features, embedding, y, weight, bias):
    return features @ weight + bias + (embedding[torch.arange(len(y)) % len(embedding)] * features).sum(dim=1)


# %%
# WRONG q2: multiplies the two parts
def projection_score(features, embedding, y, weight, bias):
    return (features @ weight + bias) * (embedding[y] * features).sum(dim=1)


# %%
# WRONG q2: numbers without a gradient
def projection_score(features, embedding, y, weight, bias):
    return torch.tensor(
        [float(weight @ f + bias + embedding[k] @ f) for f, k in zip(features, y, strict=True)]
    )


# %%
# WRONG q3: any class, the right one too
def wrong_labels(y, classes, generator):
    return torch.randint(classes, y.shape, generator=generator)


# %%
# WRONG q3: draws again once, and hopes
def wrong_labels(y, classes, generator):
    drawn = torch.randint(classes, y.shape, generator=generator)
    return torch.where(drawn == y, torch.randint(classes, y.shape, generator=generator), drawn)


# %%
# WRONG q3: if it hits the right one it takes the next: that one is twice as likely
def wrong_labels(y, classes, generator):
    drawn = torch.randint(classes, y.shape, generator=generator)
    return torch.where(drawn == y, (y + 1) % classes, drawn)


# %%
# WRONG q3: always the next class
def wrong_labels(y, classes, generator):
    return (y + 1) % classes


# %%
# WRONG q3: forgets that the upper end is left out
def wrong_labels(y, classes, generator):
    return (y + torch.randint(1, max(classes - 1, 2), y.shape, generator=generator)) % classes


# %%
# WRONG q3: one step for the whole batch
def wrong_labels(y, classes, generator):
    return (y + torch.randint(1, classes, (1,), generator=generator)) % classes


# %%
# WRONG q3: forgets to go round
def wrong_labels(y, classes, generator):
    return y + torch.randint(1, classes, y.shape, generator=generator)


# %%
# WRONG q3: does not use the generator
def wrong_labels(y, classes, generator):
    return (y + torch.randint(1, classes, y.shape)) % classes


# %%
# WRONG q3: a seed of its own
def wrong_labels(y, classes, generator):
    return (y + torch.randint(1, classes, y.shape, generator=torch.Generator().manual_seed(0))) % classes


# %%
# WRONG q3: changes y
def wrong_labels(y, classes, generator):
    y += torch.randint(1, classes, y.shape, generator=generator)
    y %= classes
    return y


# %%
# WRONG q3: shuffles the labels of the batch
def wrong_labels(y, classes, generator):
    return y[torch.randperm(len(y), generator=generator)]


# %%
# WRONG q3: a seed taken from the generator
def wrong_labels(y, classes, generator):
    torch.manual_seed(generator.initial_seed())
    return (y + torch.randint(1, classes, y.shape)) % classes


# %%
# WRONG q4: forgets the half
def matching_loss(real_right, made, real_wrong):
    return softplus(-real_right).mean() + softplus(made).mean() + softplus(real_wrong).mean()


# %%
# WRONG q4: one mean over both kinds of false pairs
def matching_loss(real_right, made, real_wrong):
    return softplus(-real_right).mean() + softplus(torch.cat([made, real_wrong])).mean()


# %%
# WRONG q4: the sign of the game's value
def matching_loss(real_right, made, real_wrong):
    return -(softplus(-real_right).mean() + (softplus(made).mean() + softplus(real_wrong).mean()) / 2)


# %%
# WRONG q4: takes the logarithm of the sigmoid
def matching_loss(real_right, made, real_wrong):
    false = (1 - made.sigmoid()).log().mean() + (1 - real_wrong.sigmoid()).log().mean()
    return -real_right.sigmoid().log().mean() - false / 2


# %%
# WRONG q4: the logarithm of the sigmoid, kept from 0
def matching_loss(real_right, made, real_wrong):
    false = (1 - made.sigmoid() + 1e-8).log().mean() + (1 - real_wrong.sigmoid() + 1e-8).log().mean()
    return -(real_right.sigmoid() + 1e-8).log().mean() - false / 2


# %%
# WRONG q4: real images beside a wrong label count as real
def matching_loss(real_right, made, real_wrong):
    true = softplus(-real_right).mean() / 2 + softplus(-real_wrong).mean() / 2
    return true + softplus(made).mean()


# %%
# WRONG q4: sums in place of means
def matching_loss(real_right, made, real_wrong):
    return softplus(-real_right).sum() + (softplus(made).sum() + softplus(real_wrong).sum()) / 2


# %%
# WRONG q4: forgets the pairs with wrong labels
def matching_loss(real_right, made, real_wrong):
    return softplus(-real_right).mean() + softplus(made).mean()


# %%
# WRONG q4: log σ in place of log(1 - σ)
def matching_loss(real_right, made, real_wrong):
    return softplus(-real_right).mean() + (softplus(-made).mean() + softplus(-real_wrong).mean()) / 2


# %%
# WRONG q4: a gradient that is NaN for large scores
def matching_loss(real_right, made, real_wrong):
    def rising(s):
        return torch.where(s > 20, s, torch.log1p(torch.exp(s))).mean()

    return rising(-real_right) + (rising(made) + rising(real_wrong)) / 2


# %%
# WRONG q4: returns a plain number
def matching_loss(real_right, made, real_wrong):
    false = (softplus(made).mean() + softplus(real_wrong).mean()) / 2
    return (softplus(-real_right).mean() + false).item()


# %%
# WRONG q4: cuts the made scores off from the gradient
def matching_loss(real_right, made, real_wrong):
    false = (softplus(made.detach()).mean() + softplus(real_wrong).mean()) / 2
    return softplus(-real_right).mean() + false


# %%
# WRONG q5: forgets the mismatched pairs
def train_step(D, optimizer, x, y, x_hat, y_asked, generator, mismatched=True):
    made = D(x_hat, y_asked)
    loss = matching_loss(D(x, y), made, made)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q5: shows mismatched pairs even if it should not
def train_step(D, optimizer, x, y, x_hat, y_asked, generator, mismatched=True):
    loss = matching_loss(D(x, y), D(x_hat, y_asked), D(x, wrong_labels(y, D.num_classes, generator)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q5: the wrong labels beside the made points
def train_step(D, optimizer, x, y, x_hat, y_asked, generator, mismatched=True):
    made = D(x_hat, y_asked)
    third = D(x_hat, wrong_labels(y_asked, D.num_classes, generator)) if mismatched else made
    loss = matching_loss(D(x, y), made, third)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q5: the real points' labels beside the made points
def train_step(D, optimizer, x, y, x_hat, y_asked, generator, mismatched=True):
    made = D(x_hat, y[: len(x_hat)])
    third = D(x, wrong_labels(y, D.num_classes, generator)) if mismatched else made
    loss = matching_loss(D(x, y), made, third)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q5: forgets to clear the gradients
def train_step(D, optimizer, x, y, x_hat, y_asked, generator, mismatched=True):
    made = D(x_hat, y_asked)
    third = D(x, wrong_labels(y, D.num_classes, generator)) if mismatched else made
    loss = matching_loss(D(x, y), made, third)
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q5: forgets the step
def train_step(D, optimizer, x, y, x_hat, y_asked, generator, mismatched=True):
    made = D(x_hat, y_asked)
    third = D(x, wrong_labels(y, D.num_classes, generator)) if mismatched else made
    loss = matching_loss(D(x, y), made, third)
    optimizer.zero_grad()
    loss.backward()
    return loss.item()


# %%
# WRONG q5: goes up
def train_step(D, optimizer, x, y, x_hat, y_asked, generator, mismatched=True):
    made = D(x_hat, y_asked)
    third = D(x, wrong_labels(y, D.num_classes, generator)) if mismatched else made
    loss = matching_loss(D(x, y), made, third)
    optimizer.zero_grad()
    (-loss).backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q5: no gradient through the mismatched pairs
def train_step(D, optimizer, x, y, x_hat, y_asked, generator, mismatched=True):
    made = D(x_hat, y_asked)
    third = D(x, wrong_labels(y, D.num_classes, generator)).detach() if mismatched else made
    loss = matching_loss(D(x, y), made, third)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q5: the same wrong labels in each step
def train_step(D, optimizer, x, y, x_hat, y_asked, generator, mismatched=True):
    made = D(x_hat, y_asked)
    third = D(x, wrong_labels(y, D.num_classes, torch.Generator().manual_seed(0))) if mismatched else made
    loss = matching_loss(D(x, y), made, third)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q5: right and wrong exchanged
def train_step(D, optimizer, x, y, x_hat, y_asked, generator, mismatched=True):
    made = D(x_hat, y_asked)
    third = D(x, wrong_labels(y, D.num_classes, generator)) if mismatched else made
    loss = matching_loss(third, made, D(x, y)) if mismatched else matching_loss(D(x, y), made, made)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


# %%
# WRONG q6: NaN where nobody asked
def class_accuracy(probs, asked):
    hit = (probs.argmax(dim=1) == asked).double()
    return hit.mean(), torch.stack([hit[asked == c].mean() for c in range(probs.shape[1])])


# %%
# WRONG q6: overall is the mean over the classes
def class_accuracy(probs, asked):
    hit = (probs.argmax(dim=1) == asked).double()
    of_class = F.one_hot(asked, probs.shape[1]).double()
    per_class = (hit @ of_class) / of_class.sum(dim=0).clamp_min(1)
    return per_class.mean(), per_class


# %%
# WRONG q6: divides by how often a class is read
def class_accuracy(probs, asked):
    read = probs.argmax(dim=1)
    hit = (read == asked).double()
    count = torch.bincount(read, minlength=probs.shape[1]).clamp_min(1)
    return hit.mean(), torch.bincount(asked, hit, minlength=probs.shape[1]) / count


# %%
# WRONG q6: divides by the number of all images
def class_accuracy(probs, asked):
    hit = (probs.argmax(dim=1) == asked).double()
    return hit.mean(), torch.bincount(asked, hit, minlength=probs.shape[1]) / len(asked)


# %%
# WRONG q6: only as many classes as were asked for
def class_accuracy(probs, asked):
    hit = (probs.argmax(dim=1) == asked).double()
    return hit.mean(), torch.bincount(asked, hit) / torch.bincount(asked).clamp_min(1)


# %%
# WRONG q6: the mean probability in place of what is read
def class_accuracy(probs, asked):
    hit = probs[torch.arange(len(asked)), asked].double()
    of_class = F.one_hot(asked, probs.shape[1]).double()
    return hit.mean(), (hit @ of_class) / of_class.sum(dim=0).clamp_min(1)


# %%
# WRONG q6: takes an image as read if the class has more than half of the probability
def class_accuracy(probs, asked):
    hit = (probs[torch.arange(len(asked)), asked] > 0.5).double()
    of_class = F.one_hot(asked, probs.shape[1]).double()
    return hit.mean(), (hit @ of_class) / of_class.sum(dim=0).clamp_min(1)


# %%
# WRONG q6: how often each class is read at all
def class_accuracy(probs, asked):
    read = probs.argmax(dim=1)
    return (read == asked).double().mean(), F.one_hot(read, probs.shape[1]).double().mean(dim=0)


# %%
# WRONG q6: overall only
def class_accuracy(probs, asked):
    return (probs.argmax(dim=1) == asked).double().mean()
