"""Metrics: equal to torchmetrics, defined at the edges, averaged per image."""

import math

import numpy as np
import pytest
import torch
import torchmetrics.functional as reference
from scipy import ndimage
from skimage.metrics import structural_similarity
from skimage.segmentation import find_boundaries

from maskdepth_utils.evaluation import evaluate, network_predict
from maskdepth_utils.metrics import (
    Means,
    abs_rel,
    bootstrap_interval,
    boundary_f,
    delta,
    dice,
    edge_band,
    iou,
    log10,
    measure,
    rmse,
    similarity,
    soft_overlap_2020,
    spread,
)
from maskdepth_utils.models import MaskDepthNet, MaskNet


def samples(count=4, size=32):
    generator = torch.Generator().manual_seed(0)
    probability, coverage, depth, target = torch.rand(4, count, 1, size, size, generator=generator).unbind(0)
    return probability, coverage, depth, target


def square(side, at=4, size=32):
    mask = torch.zeros(1, 1, size, size)
    mask[..., at : at + side, at : at + side] = 1
    return mask


def test_iou_and_dice_are_torchmetrics():
    probability, coverage, _, _ = samples()
    for i, (p, y) in enumerate(zip(probability, coverage, strict=True)):
        expected = reference.jaccard_index(p, y > 0.5, task="binary", threshold=0.5)
        assert float(iou(probability, coverage)[i]) == pytest.approx(float(expected))
        expected = reference.f1_score(p, y > 0.5, task="binary", threshold=0.5)
        assert float(dice(probability, coverage)[i]) == pytest.approx(float(expected))


def test_iou_by_hand():
    assert iou(square(8), square(8)).tolist() == [1]
    assert iou(square(8), square(8, at=20)).tolist() == [0]
    assert iou(square(8), square(4)).tolist() == [0.25]
    assert iou(0.3 * square(8), square(8), threshold=0.2).tolist() == [1]
    assert iou(square(8).bool(), square(8).bool()).tolist() == [1]


def test_half_covered_pixels_are_not_the_object():
    half = 0.5 * square(8)
    assert iou(half, torch.zeros_like(half)).tolist() == [1]
    assert iou(torch.zeros_like(half), half).tolist() == [1]


def test_empty_masks():
    empty = torch.zeros(1, 1, 32, 32)
    for metric in (iou, dice):
        assert metric(empty, empty).tolist() == [1]
        assert metric(empty, square(8)).tolist() == [0]
        assert metric(square(8), empty).tolist() == [0]


def test_the_originals_overlap_gives_half_for_a_perfect_mask():
    assert soft_overlap_2020(square(8), square(8)).tolist() == [0.5]
    p, y, _, _ = samples()
    expected = (p * y).sum((1, 2, 3)) / (p + y).sum((1, 2, 3))
    torch.testing.assert_close(soft_overlap_2020(p, y), expected)


def blobs(count=6, size=40):
    """Random smooth masks, some of them cut off by the picture's border."""
    noise = np.random.default_rng(0).normal(size=(2 * count, size, size))
    smooth = torch.from_numpy(np.stack([ndimage.gaussian_filter(x, 3) for x in noise]))[:, None].float()
    masks = (smooth > 0.03).float()
    return masks[:count], masks[count:]


def outline(mask):
    return find_boundaries(mask, connectivity=2, mode="inner")


@pytest.mark.parametrize("tolerance", [1, 2, 4])
def test_boundary_f_is_what_distances_between_outlines_say(tolerance):
    predicted, true = blobs()
    for i, got in enumerate(boundary_f(predicted, true, tolerance).tolist()):
        a, b = outline(predicted[i, 0].numpy() > 0), outline(true[i, 0].numpy() > 0)
        to_a, to_b = (ndimage.distance_transform_cdt(~x, metric="chessboard") for x in (a, b))
        precision, recall = (to_b[a] <= tolerance).mean(), (to_a[b] <= tolerance).mean()
        assert got == pytest.approx(2 * precision * recall / (precision + recall))
        assert 0.05 < got < 1


def test_boundary_f_at_its_ends():
    assert boundary_f(square(8), square(8)).tolist() == [1]
    assert boundary_f(square(8), square(8, at=6)).tolist() == [1]  # two pixels off are allowed ...
    assert boundary_f(square(8), square(8, at=6), tolerance=1)[0] < 0.6  # ... or one
    assert boundary_f(square(8), square(8, at=20)).tolist() == [0]
    nothing = torch.zeros_like(square(8))
    assert boundary_f(nothing, nothing).tolist() == [1]
    assert boundary_f(nothing, square(8)).tolist() == boundary_f(square(8), nothing).tolist() == [0]


def test_edge_band_is_what_distances_to_the_outline_say():
    for mask in blobs()[0]:
        inside = mask[0].numpy() > 0
        depth_in, distance_out = (ndimage.distance_transform_cdt(x, metric="chessboard") for x in (inside, ~inside))
        expected = np.where(inside, depth_in, distance_out) <= 3
        np.testing.assert_array_equal(edge_band(mask[None])[0, 0], expected)


def test_depth_metrics_are_their_references():
    _, _, depth, target = samples()
    depth, target = depth + 0.05, target + 0.05  # clear of the clipping
    for i, (d, t) in enumerate(zip(depth, target, strict=True)):
        d, t = d.flatten(), t.flatten()
        root = reference.mean_squared_error(d, t, squared=False)
        relative = reference.mean_absolute_percentage_error(d, t)
        logs = reference.mean_absolute_error(d.log10(), t.log10())
        assert float(rmse(depth, target)[i]) == pytest.approx(float(root), rel=1e-5)
        assert float(abs_rel(depth, target)[i]) == pytest.approx(float(relative), rel=1e-5)
        assert float(log10(depth, target)[i]) == pytest.approx(float(logs), rel=1e-5)
        within = ((d / t < 1.25) & (t / d < 1.25)).float().mean()
        assert float(delta(depth, target)[i]) == pytest.approx(float(within), rel=1e-5)


def test_units():
    _, _, depth, target = samples()
    depth, target = depth + 0.1, target + 0.1
    torch.testing.assert_close(rmse(10 * depth, 10 * target), 10 * rmse(depth, target))
    for metric in (abs_rel, log10, delta):  # relative: metres or not is the same
        torch.testing.assert_close(metric(10 * depth, 10 * target), metric(depth, target))


def test_depths_of_zero_stay_finite():
    zero = torch.zeros(1, 1, 8, 8)
    for metric in (abs_rel, log10, delta):
        assert metric(zero, zero + 0.4).isfinite().all()
        assert metric(zero + 0.4, zero).isfinite().all()
    assert delta(zero, zero).tolist() == [1]
    assert delta(zero + 0.5, zero + 0.41, threshold=1.25**1).tolist() == [1]
    assert delta(zero + 0.5, zero + 0.39).tolist() == [0]


def test_similarity_and_spread_are_their_references():
    a, b = torch.rand(3, 1, 40, 30), torch.rand(3, 1, 40, 30)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    for i, (value, ratio) in enumerate(zip(similarity(a, b), spread(a, b))):
        x, y = a[i, 0].double().numpy(), b[i, 0].double().numpy()
        assert value.item() == pytest.approx(structural_similarity(x, y, **settings), abs=1e-5)
        assert ratio.item() == pytest.approx(x.std(ddof=1) / y.std(ddof=1), rel=1e-5)
    assert spread(torch.full_like(b, 0.3), b).max() < 1e-6


def test_region():
    target = torch.full((2, 1, 32, 32), 0.5)
    region = torch.cat([square(8), torch.zeros(1, 1, 32, 32)]) > 0
    depth = target + 0.1 * region
    inside, nothing = rmse(depth, target, region).tolist()
    assert inside == pytest.approx(0.1) and math.isnan(nothing)
    assert rmse(depth, target, ~region).tolist() == [0, 0]
    assert abs_rel(depth, target, region)[0] == pytest.approx(0.2)
    # all of them take the region in the same place
    for figure, value in ((rmse, 0.1), (abs_rel, 0.2), (log10, math.log10(1.2)), (delta, 1)):
        assert float(figure(depth, target, region.float())[0]) == pytest.approx(value, rel=1e-5)


def test_half_precision_is_computed_in_float32():
    _, _, depth, target = samples()
    depth, target = depth.bfloat16(), target.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(rmse(depth, target), rmse(depth.float(), target.float()))


def test_an_interval_draws_whole_groups():
    random = np.random.default_rng(0)
    rooms = np.repeat(np.arange(40), 10)
    values = 0.5 + random.normal(0, 0.1, 40)[rooms] + random.normal(0, 0.01, 400)
    low, high = bootstrap_interval(values, rooms)
    assert low < values.mean() < high
    # The mean of 40 rooms that differ by 0.1 is known to 0.1 / sqrt(40) = 0.016, however many pictures each has.
    assert high - low == pytest.approx(2 * 1.96 * values.reshape(40, 10).mean(1).std() / 40**0.5, rel=0.15)
    single = bootstrap_interval(values, np.arange(400))
    assert single[1] - single[0] < 0.5 * (high - low)
    assert bootstrap_interval(np.append(values, np.nan), np.append(rooms, 99)) == (low, high)
    with pytest.raises(ValueError, match="as many groups as values"):
        bootstrap_interval(values, rooms[:-1])


def test_means_average_images_and_leave_out_nan():
    means = Means()
    means.add(iou=torch.tensor([1.0, 0.0]), rmse_object=torch.tensor([math.nan, 0.2]))
    means.add(iou=torch.tensor([0.2]), rmse_object=torch.tensor([0.4]))
    assert means.mean() == pytest.approx({"iou": 0.4, "rmse_object": 0.3})
    means = Means()
    means.add(rmse=torch.tensor([math.nan]))
    assert math.isnan(means.mean()["rmse"])


def batches(sizes=(3, 1)):
    generator = torch.Generator().manual_seed(1)
    for count in sizes:
        image, background = torch.rand(2, count, 3, 32, 32, generator=generator).unbind(0)
        mask, depth = torch.rand(2, count, 1, 32, 32, generator=generator).unbind(0)
        yield {"image": image, "background": background, "mask": mask, "depth": depth}


def test_evaluate_averages_over_images_not_batches():
    def predict(image, background):
        return image[:, :1], background[:, :1]

    names = ("image", "background", "mask", "depth")
    whole = {name: torch.cat([batch[name] for batch in batches()]) for name in names}
    expected = measure(whole, whole["image"][:, :1], whole["background"][:, :1])
    result = evaluate(predict, batches())
    assert result.pop("images") == 4
    assert result == pytest.approx({name: float(value.mean()) for name, value in expected.items()}, rel=1e-5)
    assert result["rmse_metres"] == pytest.approx(10 * result["rmse"])
    figures = evaluate(predict, batches(), per_image=True)
    assert figures["images"] == 4
    assert figures["iou"] == pytest.approx(expected["iou"].tolist())


def test_evaluate_with_one_output_only():
    result = evaluate(lambda image, background: (image[:, :1], None), batches())
    assert set(result) == {"images", "iou", "dice", "boundary_f"}
    result = evaluate(lambda image, background: (None, image[:, :1]), batches())
    assert "iou" not in result and "rmse" in result


def test_networks_are_evaluated_in_eval_mode():
    network = MaskDepthNet(width=0.125).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    result = evaluate(network_predict(network), batches())
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert 0 <= result["iou"] <= 1 and result["rmse"] > 0
    assert set(evaluate(network_predict(MaskNet(width=4)), batches())) == {"images", "iou", "dice", "boundary_f"}
    with torch.autocast("cpu", torch.bfloat16):
        assert evaluate(network_predict(network), batches())["rmse"] == pytest.approx(result["rmse"], rel=0.1)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda p, y: iou(4 * p - 2, y), r"probabilities in \[0, 1\].*sigmoid"),
        (lambda p, y: iou(p * math.nan, y), "probabilities"),
        (lambda p, y: iou(p, y[:, 0]), "one shape"),
        (lambda p, y: rmse(p, y[:2]), "one shape"),
        (lambda p, y: rmse(p[:, 0], y[:, 0]), "one shape"),
        (lambda p, y: rmse(p, y, region=y[:, 0]), "one shape"),
        (lambda p, y: soft_overlap_2020(p, y[:1]), "one shape"),
    ],
)
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(*samples()[:2])
