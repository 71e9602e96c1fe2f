"""Answers to the quizzes' questions, computed: from the package where the question is about the package.

The function `quiz_02_forgot_eval` answers the question "forgot-eval" of quiz 02. It returns a number, the text of the
right choice or how that text begins, or a set of texts where several choices are right. A function with an argument
gets an empty folder.
"""

import contextlib
import io
import re
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch
import torchsummary
from small_training import Squares
from torch import nn

from maskdepth_utils import baselines, losses, metrics
from maskdepth_utils.camera import FOCAL, IMAGE_SIZE
from maskdepth_utils.data import MaskDepthDataset, library
from maskdepth_utils.data.compose import compose
from maskdepth_utils.data.storage.arrays import write_arrays
from maskdepth_utils.files import write_file
from maskdepth_utils.inference.predictor import Predictor
from maskdepth_utils.models import MaskDepthNet, MaskNet
from maskdepth_utils.models.blocks import UpProjection
from maskdepth_utils.models.differences import match_exposure
from maskdepth_utils.models.networks import count_parameters
from maskdepth_utils.models.weights import read_run
from maskdepth_utils.training import fit, schedule


def random_maps(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def square(side, size=40):
    """A mask (1, 1, size, size) of side x side pixels in its middle."""
    mask = torch.zeros(1, 1, size, size)
    first = (size - side) // 2
    mask[..., first : first + side, first : first + side] = 1
    return mask


def quiz_01_wall_in_two_depths():
    to_edge = 4 * np.sqrt(1 + (IMAGE_SIZE / 2 / FOCAL) ** 2)
    return f"z-depth 4.00 m at both, ray distance 4.00 m and {to_edge:.2f} m"


def quiz_01_twice_as_far():
    room, cutout = library.load_room("room_val_037"), library.load_cutout("val_009_chair", 0, 0)
    nothing_near = replace(room, pitch=0.0, depth_mm=np.full_like(room.depth_mm, 9000))
    flat = replace(cutout, relief_code=np.full_like(cutout.relief_code, 32768))
    near, far = (compose(nothing_near, flat, distance, 0.0, shadow=False) for distance in (3.0, 6.0))
    assert min(near.inside, far.inside, near.visible, far.visible) > 0.99
    return 800 * far.mask.sum() / near.mask.sum()


def quiz_01_what_a_gap_changes():
    first, second = (MaskDepthDataset("val", gap=gap)[73] for gap in ("none", "tripod"))
    return {f"the {name}" for name in first if not torch.equal(first[name], second[name])}


def quiz_01_one_number_twice():
    pictures = [np.full((1, 1, 4, 4), value) for value in (0.2, 0.6)]
    together, alone = np.std(pictures), np.mean([picture.std() for picture in pictures])
    return f"{together:.3g} and {alone:.3g}"


def quiz_01_is_the_random_split_fair():
    train = MaskDepthDataset("train")
    pairs = np.array([train.locate(index)[:2] for index in range(len(train))])
    assert pairs.shape[0] == 400_000 and set(np.unique(pairs, axis=0, return_counts=True)[1]) == {40}
    mixed = np.random.default_rng(0).permutation(pairs)
    old, new = (set(map(tuple, part.tolist())) for part in np.split(mixed, [280_000]))
    return "Each room, each object and each pair of them is on both sides." if old == new else "Nothing"


def quiz_01_a_lot_of_right_pixels():
    truth = (torch.arange(100) < 8).float().view(1, 1, 10, 10)
    nothing = torch.zeros_like(truth)
    return f"{100 * (truth == nothing).float().mean():.0f} % right, IoU {metrics.iou(nothing, truth).item():g}"


def quiz_01_worse_than_gray():
    depths = 0.5 + 0.04 * torch.randn(50, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    gray = baselines.ConstantDepth().fit([{"depth": depths}])(depths, depths)[1]
    return "Worse than the same gray" if metrics.rmse(gray, depths).mean() < 0.18 / 4 else "Good"


def quiz_02_from_2020_to_iou():
    pixels = torch.arange(4).view(1, 1, 2, 2)
    ours, true = (pixels < 2).float(), (pixels < 3).float()
    assert metrics.soft_overlap_2020(ours, true).item() == pytest.approx(0.4)
    return metrics.iou(ours, true).item()


def quiz_02_painted_evenly():
    painted = {kernel: nn.functional.conv_transpose1d(torch.ones(1, 1, 20), torch.ones(1, 1, kernel), stride=4)
               for kernel in (4, 6, 8, 10)}  # fmt: skip
    return {str(kernel) for kernel, times in painted.items() if len(times[..., 12:-12].unique()) == 1}


def quiz_02_three_convolutions():
    picture = torch.zeros(1, 1, 65, 65, requires_grad=True)
    net = nn.Sequential(*(nn.Conv2d(1, 1, 3, stride=stride) for stride in (2, 1, 1)))
    (gradient,) = torch.autograd.grad(net(picture)[0, 0, 12, 12], picture)
    return float((gradient[0, 0].abs().sum(0) > 0).sum())


def quiz_02_sure_and_wrong():
    logit = torch.full((1, 1, 1, 1), -120.0)
    in_two_steps, from_logit = -logit.sigmoid().log().item(), losses.bce(logit, torch.ones_like(logit)).item()
    return " and ".join("infinite" if np.isinf(loss) else f"{loss:g}" for loss in (in_two_steps, from_logit))


def quiz_02_loss_down_score_zero():
    truth = (torch.arange(100) < 7).float().view(1, 1, 10, 10)
    constant = torch.full_like(truth, 0.07)
    assert f"{losses.bce(constant.logit(), truth):.2f}" == "0.25" and metrics.iou(constant, truth).item() == 0
    return "The network has learned how rare object pixels are"


def quiz_02_forgot_eval():
    net, pictures = MaskNet(width=4).train(), random_maps(3, 3, 32, 32)
    with torch.no_grad():
        first, again, other = (net(pictures[pair], pictures[pair].flip(3))[0] for pair in ([0, 1], [0, 1], [0, 2]))
    assert torch.equal(first, again)
    return "It depends on which other pictures" if not torch.allclose(first, other) else "Nothing"


def quiz_03_only_its_size():
    block, x = UpProjection(8, 4, skip_channels=0).eval(), random_maps(1, 8, 5, 5)
    with torch.no_grad():
        a, b = (block(x, random_maps(1, 6, 10, 10, seed=seed)) for seed in (1, 2))
    return "Nothing: with any other values" if torch.equal(a, b) else "Its outlines"


def quiz_03_five_halvings():
    with torch.no_grad():
        return float(MaskDepthNet(width=0.125).encoder(torch.zeros(1, 6, 100, 100))[-1].shape[-1])


def quiz_03_half_as_wide():
    ratio = count_parameters(MaskDepthNet(width=0.5)) / count_parameters(MaskDepthNet())
    words = {1: "as many", 1 / 2: "half as many", 1 / 4: "a quarter", 1 / 8: "an eighth"}
    return words[min(words, key=lambda share: abs(share - ratio))]


def quiz_03_ten_per_cent_brighter():
    background = 0.9 * random_maps(1, 3, 40, 40)
    image = 1.1 * background
    assert torch.allclose(image - background, background / 10, atol=1e-6)
    left = (image - match_exposure(image, background)).abs().max()
    return "Like the background itself, only darker, before; black after" if left < 1e-3 else "One even gray"


def quiz_03_counted_by_torchsummary():
    class Twice(nn.Module):
        def forward(self, x):
            return x, x

    class Many(nn.Module):  # a hundred of them, as the summary has two decimals
        def __init__(self):
            super().__init__()
            self.first, self.parts = nn.Conv2d(1, 1, 1), nn.ModuleList(Twice() for _ in range(100))

        def forward(self, x):
            x = self.first(x)
            return [part(x) for part in self.parts][0][0]

    with contextlib.redirect_stdout(io.StringIO()) as text:
        torchsummary.summary(Many(), (1, 10, 10), batch_size=1, device="cpu")
    megabytes = float(re.search(r"Forward/backward pass size \(MB\): ([\d.]+)", text.getvalue())[1])
    return round(megabytes * 2**20 / 2 / 4 / 100, -2)  # twice, for gradients; four bytes a value


def quiz_03_start_at_the_base_rate():
    return torch.tensor(0.1).logit().item()


def quiz_04_free_of_charge():
    true = nn.functional.avg_pool2d(random_maps(1, 1, 44, 44), 5, 1)
    predictions = {
        "the truth": true,
        "the truth, everywhere 1 m too far": true + 0.1,
        "the truth, everywhere 10 % too far": 1.1 * true,
        "the truth, blurred": nn.functional.avg_pool2d(true, 3, 1, 1),
        "one gray for all pixels": true.mean().expand_as(true),
    }
    return {name for name, depth in predictions.items() if losses.edge(depth, true) < 1e-6}


def quiz_04_an_edge_in_the_wrong_place():
    column = torch.arange(80).expand(1, 1, 80, 80)
    true, moved = (0.3 + 0.4 * (column >= at) for at in (30, 50))
    return (losses.edge(moved, true) / losses.edge(true.mean().expand_as(true), true)).item()


def quiz_04_from_metres_to_tenths():
    a, b = random_maps(2, 1, 1, 40, 40)
    with mock.patch.multiple(losses, C1=100 * losses.C1, C2=100 * losses.C2):  # they are squares
        in_metres = losses.l1(10 * a, 10 * b), losses.dssim(10 * a, 10 * b)
    ratios = [(after / before).item() for after, before in zip((losses.l1(a, b), losses.dssim(a, b)), in_metres)]
    words = {0.1: "becomes a tenth", 1: "stays", 0.01: "becomes a hundredth"}
    first, second = (words[round(ratio, 3)] for ratio in ratios)
    return f"L1 {first}, the SSIM loss {second}"


def quiz_04_what_ssim_on_logits_asks_for():
    true, grid = square(16), torch.linspace(-4, 4, 17)
    pairs = [(off, on) for off in grid for on in grid]
    off, _ = min(pairs, key=lambda pair: losses.dssim(pair[0] + (pair[1] - pair[0]) * true, true))
    return off.sigmoid().item()


def quiz_04_small_and_large():
    sides = 8, 44  # of 80 x 80 pixels: 1 % and 30 %
    masks = [square(side, 80) for side in sides]
    assert [round(mask.mean().item(), 2) for mask in masks] == [0.01, 0.30]
    nothing = torch.full_like(masks[0], 0.001)
    charged = {
        "BCE": lambda mask: losses.bce(nothing.logit(), mask),
        "the SSIM loss": lambda mask: losses.dssim(nothing, mask),
        "L1 between probability and mask": lambda mask: losses.l1(nothing, mask),
        "Dice": lambda mask: losses.dice_loss(nothing, mask),
    }
    ratios = {name: (loss(masks[1]) / loss(masks[0])).item() for name, loss in charged.items()}
    assert 25 < ratios["BCE"] < 35 and 25 < ratios["L1 between probability and mask"] < 35
    return {name for name, ratio in ratios.items() if ratio < 1.1}


def quiz_04_digits_of_bfloat16():
    a, b = (torch.tensor(value, dtype=torch.bfloat16) for value in (0.2501, 0.2500))
    return f"{(a - b).item():g}"


def quiz_04_three_seeds_each():
    a, b = (0.121, 0.128, 0.134), (0.119, 0.127, 0.139)
    between, within = abs(np.mean(a) - np.mean(b)), min(max(a) - min(a), max(b) - min(b))
    assert np.mean(a) < np.mean(b) and min(b) < min(a)  # as two of the wrong choices say
    return "It cannot tell the two losses apart." if between < within / 10 else "A is better"


def quiz_05_intervals_that_overlap():
    draws, pictures = np.random.default_rng(0), np.arange(100)
    hard = draws.normal(0.947, 0.06, 100)  # what both networks find hard
    a, b = hard + 0.003 + draws.normal(0, 0.002, 100), hard - 0.003
    (a_low, _), (_, b_high) = metrics.bootstrap_interval(a, pictures), metrics.bootstrap_interval(b, pictures)
    assert a_low < b_high
    decided = metrics.bootstrap_interval(a - b, pictures)[0] > 0
    return "These intervals do not decide it. The interval of the differences" if decided else "No: the intervals"


def quiz_05_pictures_of_one_room():
    draws = np.random.default_rng(0)
    values = np.repeat(draws.normal(0, 1, 20), 20) + draws.normal(0, 0.1, 400)
    groups = (range(400), np.repeat(range(20), 20))
    single, rooms = (np.ptp(metrics.bootstrap_interval(values, group)) for group in groups)
    return "It is too narrow." if single < rooms / 2 else "It is too wide"


def quiz_05_pooled_or_mean():
    def row(first, last):
        pixels = torch.arange(1000)
        return ((pixels >= first) & (pixels < last)).float().view(1, 1, 1, -1)

    predicted, true = [row(0, 950), row(0, 30)], [row(50, 1000), row(20, 50)]
    mean = np.mean([metrics.iou(*pair).item() for pair in zip(predicted, true)])
    pooled = metrics.iou(torch.cat(predicted, 3), torch.cat(true, 3)).item()
    return f"{mean:.2f} and {pooled:.2f}"


def quiz_05_one_pixel_fat():
    true = square(10)
    return metrics.iou(nn.functional.max_pool2d(true, 3, 1, 1), true).item()


def quiz_05_a_wider_lens():
    predictor, picture = Predictor(MaskDepthNet(width=0.125), {"size": 160}, "cpu"), np.zeros((160, 160, 3), np.uint8)
    right, assumed = (predictor.predict(picture, picture, fov=fov).depth for fov in (90, 60))
    return 5.0 * float(np.median(right / assumed))


def quiz_05_told_the_scale():
    true = 0.2 + 0.6 * nn.functional.avg_pool2d(random_maps(1, 1, 84, 84), 5, 1)
    wrong = {"scale": 1.4 * true, "edges": nn.functional.avg_pool2d(true, 9, 1, 4), "offset": true + 0.09}
    told = {name: depth * (true / depth).median() for name, depth in wrong.items()}
    mended = [name for name, depth in told.items() if metrics.rmse(depth, true).item() < 1e-4]
    return {"scale": "Its scale", "edges": "Its edges", "offset": "An offset"}[mended[0]] if len(mended) == 1 else ""


def quiz_06_twice_the_batch():
    rates = 64 / 0.8, 128 / 1.6
    return "The loader: it delivers 80 samples" if rates == pytest.approx((80, 80)) else "The GPU"


def quiz_06_where_the_time_goes():
    return 1 / (0.6 + 0.3 / 2 + 0.1)


def quiz_06_two_processes():
    batch, net, norm = random_maps(32, 3, 16, 16), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(3)

    def gradient(pictures):
        return torch.autograd.grad(net(pictures).square().mean(), net.weight)[0]

    shares = batch[0::2], batch[1::2]  # as `fit` takes them
    order = schedule.batch_indices(7, 32, 1000, seed=0)
    same = {
        "the samples of each step": sorted(order[0::2] + order[1::2]) == sorted(order),
        "the gradient of a network without BatchNorm, up to rounding":
            torch.allclose(sum(map(gradient, shares)) / 2, gradient(batch), atol=1e-7),
        "the statistics that BatchNorm normalises with": torch.allclose(norm(shares[0]), norm(batch)[0::2], atol=1e-4),
    }  # fmt: skip
    return {text for text, is_same in same.items() if is_same}


def quiz_06_bytes_of_a_sample(folder):
    done = write_arrays(MaskDepthDataset("val"), folder / "arrays", range(2), progress=False)
    return done["bytes"] / done["samples"] / 1000


def quiz_06_killed_while_writing(folder):
    path = folder / "weights"
    path.write_bytes(b"old")
    for step in ("os.fsync", "os.replace"):
        with mock.patch(step, side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
            write_file(path, b"new")
        assert path.read_bytes() == b"old"
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    with open(path, "wb"):
        assert path.read_bytes() == b""  # the first choice, when the process dies now
    return "Write the new one under another name, force it to the disk, then rename it."


def quiz_06_what_must_be_saved(folder):
    run = {"batch": 4, "momentum": 0.9, "progress": False, "device": "cpu", "precision": "float32"}
    fit(MaskNet(width=2), Squares(), steps=2, out=folder / "run", **run)
    state = read_run(folder / "run")
    words = str(state).lower()
    saved = {
        "the weights and BatchNorm's running averages": {"down.0.weight", "down.2.running_mean"} <= set(state["model"]),
        "the optimizer's momentum": "momentum_buffer" in str(state["optimizer"]["state"]),
        "the number of the step": state["step"] == 2,
        "the list of the samples seen so far": "indices" in words or "seen" in words,
        "the state of the random generator": "rng" in words or "random" in words,
    }
    return {text for text, is_there in saved.items() if is_there}


def quiz_07_two_of_forty():
    before, after = np.full(40, 0.95), np.full(40, 0.95)
    after[:2] = 0.35
    return before.mean() - after.mean()


def quiz_07_the_same_gray():
    gray = torch.full((1, 3, 8, 8), 0.5)
    thresholds = [0.0, 0.5 / 255, 0.1, 0.5]
    found = [baselines.DifferenceThreshold(one)(gray, gray)[0].sum().item() for one in thresholds]
    return "None" if not any(found) else "One near 0"


def quiz_07_where_it_lights_up():
    column = torch.arange(40).expand(1, 1, 40, 40)
    room = torch.where(column < 20, 0.2, 0.9) - 0.1 * (column >= 30)  # a strong edge at 20, a weak one at 30
    differs = (room - room.roll(1, 3)).abs()[0, 0, 0, 1:]
    lit = differs.nonzero().flatten() + 1
    assert lit.tolist() == [20, 30] and differs[19] > differs[29]
    return "Along edges, and most where the contrast is high"


def quiz_07_three_false_pixels():
    predicted, true = torch.zeros(2, 1, 1, 160, 160)
    predicted[0, 0, 80, :3] = 1
    return metrics.iou(predicted, true).item()


COMPUTED = {
    (name[5:7], name[8:].replace("_", "-")): function
    for name, function in list(globals().items()) if name.startswith("quiz_")
}  # fmt: skip
