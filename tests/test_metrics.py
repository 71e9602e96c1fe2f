"""Metrics equal independent references, are defined for empty masks and regions, and are averaged per image."""

import math
from functools import partial

import numpy as np
import pytest
import torch
import torchmetrics.functional as reference
from scipy import ndimage
from skimage.segmentation import find_boundaries

from maskdepth_utils import metrics
from maskdepth_utils.evaluation import evaluate, network_predict
from maskdepth_utils.models import MaskDepthNet, MaskNet


def square(side, at=4, size=32):
    mask = torch.zeros(1, 1, size, size)
    mask[..., at : at + side, at : at + side] = 1
    return mask


EMPTY = square(0)


@pytest.fixture
def maps():
    """Two random maps of four images in [0.05, 1.05]: depths clear of the clipping."""
    return tuple(torch.rand(2, 4, 1, 32, 32, generator=torch.Generator().manual_seed(0)) + 0.05)


@pytest.fixture(scope="module")
def blobs():
    """Two batches of random smooth masks, some of them cut off by the picture's border."""
    noise = np.random.default_rng(0).normal(size=(12, 40, 40))
    smooth = torch.from_numpy(np.stack([ndimage.gaussian_filter(x, 3) for x in noise]))[:, None]
    return (smooth > 0.03).float().chunk(2)


def distance(mask):
    return ndimage.distance_transform_cdt(mask, metric="chessboard")


def test_overlaps_equal_torchmetrics(maps):
    probability, coverage = (x.clamp(max=1) for x in maps)
    for i, (p, y) in enumerate(zip(probability, coverage > 0.5, strict=True)):
        figures = metrics.measure({"mask": coverage}, probability, None)
        for name, theirs in (("iou", reference.jaccard_index), ("dice", reference.f1_score)):
            expected = theirs(p, y, task="binary", threshold=0.5)
            assert float(figures[name][i]) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    "metric, predicted, true, expected",
    [
        (metrics.iou, square(8), square(4), 0.25),
        (metrics.iou, square(8).bool(), square(8).bool(), 1),
        (metrics.iou, square(8), square(8, at=20), 0),
        (partial(metrics.iou, threshold=0.2), 0.3 * square(8), square(8), 1),
        (metrics.iou, 0.5 * square(8), EMPTY, 1),  # a pixel covered by half is not the object's
        (metrics.iou, EMPTY, 0.5 * square(8), 1),
        (metrics.boundary_f, square(8), square(8), 1),
        (metrics.boundary_f, square(8), square(8, at=6), 1),  # two pixels off are allowed
        (metrics.boundary_f, square(8), square(8, at=20), 0),
        (metrics.soft_overlap_2020, square(8), square(8), 0.5),
        *((metric, EMPTY, EMPTY, 1) for metric in (metrics.iou, metrics.boundary_f)),
        *((metric, EMPTY, square(8), 0) for metric in (metrics.iou, metrics.boundary_f)),
        *((metric, square(8), EMPTY, 0) for metric in (metrics.iou, metrics.boundary_f)),
    ],
)
def test_overlaps_by_hand(metric, predicted, true, expected):
    assert metric(predicted, true).tolist() == [expected]


@pytest.mark.parametrize("tolerance", [1, 2, 4])
def test_boundary_f_equals_distances_between_outlines(blobs, tolerance):
    predicted, true = blobs
    for p, y, found in zip(predicted, true, metrics.boundary_f(predicted, true, tolerance).tolist(), strict=True):
        a, b = (find_boundaries(mask[0].numpy() > 0, connectivity=2, mode="inner") for mask in (p, y))
        precision, recall = (distance(~b)[a] <= tolerance).mean(), (distance(~a)[b] <= tolerance).mean()
        assert found == pytest.approx(2 * precision * recall / (precision + recall))
        assert 0.05 < found < 1


def test_edge_band_equals_distances_to_the_outline(blobs):
    for mask in blobs[0]:
        inside = mask[0].numpy() > 0
        expected = np.where(inside, distance(inside), distance(~inside)) <= 3
        np.testing.assert_array_equal(metrics.edge_band(mask[None])[0, 0], expected)


def test_depth_metrics_equal_their_references(maps):
    depth, target = maps
    for i, (d, t) in enumerate(zip(depth.flatten(1), target.flatten(1), strict=True)):
        expected = {
            metrics.rmse: reference.mean_squared_error(d, t, squared=False),
            metrics.abs_rel: reference.mean_absolute_percentage_error(d, t),
            metrics.log10: reference.mean_absolute_error(d.log10(), t.log10()),
            metrics.delta: ((d / t < 1.25) & (t / d < 1.25)).float().mean(),
            metrics.spread: d.std() / t.std(),
        }
        for metric, value in expected.items():
            assert float(metric(depth, target)[i]) == pytest.approx(float(value), rel=1e-5), metric.__name__
    assert metrics.spread(torch.full_like(target, 0.3), target).max() < 1e-6


def test_depths_of_zero_stay_finite():
    for metric in (metrics.abs_rel, metrics.log10, metrics.delta):
        assert metric(EMPTY, EMPTY + 0.4).isfinite().all() and metric(EMPTY + 0.4, EMPTY).isfinite().all()
    assert metrics.delta(EMPTY, EMPTY).tolist() == [1]
    assert metrics.delta(EMPTY + 0.5, EMPTY + 0.41).tolist() == [1]
    assert metrics.delta(EMPTY + 0.5, EMPTY + 0.39).tolist() == [0]


@pytest.mark.parametrize("name, inside", [("rmse", 0.1), ("abs_rel", 0.2), ("log10", math.log10(1.2)), ("delta", 1)])
def test_a_region_limits_a_metric(name, inside):
    metric = getattr(metrics, name)
    target = torch.full((2, 1, 32, 32), 0.5)
    region = torch.cat([square(8), EMPTY])
    depth = target + 0.1 * region
    for mask in (region, region > 0):
        found, nothing = metric(depth, target, mask).tolist()
        assert found == pytest.approx(inside, rel=1e-5) and math.isnan(nothing)
    assert metric(depth, target, region == 0).tolist() == metric(target, target).tolist()


def test_bootstrap_interval_draws_whole_groups():
    random = np.random.default_rng(0)
    rooms = np.repeat(np.arange(40), 10)
    values = 0.5 + random.normal(0, 0.1, 40)[rooms] + random.normal(0, 0.01, 400)
    low, high = metrics.bootstrap_interval(values, rooms)
    assert low < values.mean() < high
    # The mean of 40 rooms that differ by 0.1 is known to 0.1 / sqrt(40) = 0.016, however many images each has.
    assert high - low == pytest.approx(2 * 1.96 * values.reshape(40, 10).mean(1).std() / 40**0.5, rel=0.15)
    single = metrics.bootstrap_interval(values, np.arange(400))
    assert single[1] - single[0] < 0.5 * (high - low)
    assert metrics.bootstrap_interval(np.append(values, np.nan), np.append(rooms, 99)) == (low, high)
    with pytest.raises(ValueError, match="as many groups as values"):
        metrics.bootstrap_interval(values, rooms[:-1])


def test_means_average_images_and_leave_out_nan():
    means = metrics.Means()
    means.add(iou=torch.tensor([1.0, 0.0]), rmse_object=torch.tensor([math.nan, 0.2]), none=torch.tensor([math.nan]))
    means.add(iou=torch.tensor([0.2]), rmse_object=torch.tensor([0.4]))
    assert means.mean() == pytest.approx({"iou": 0.4, "rmse_object": 0.3, "none": math.nan}, nan_ok=True)


def batches(sizes=(3, 1)):
    generator = torch.Generator().manual_seed(1)
    for count in sizes:
        image, background = torch.rand(2, count, 3, 32, 32, generator=generator)
        mask, depth = torch.rand(2, count, 1, 32, 32, generator=generator)
        yield {"image": image, "background": background, "mask": mask, "depth": depth}


def test_evaluate_averages_over_images_not_batches():
    def predict(image, background):
        return image[:, :1], background[:, :1]

    whole = {name: torch.cat([batch[name] for batch in batches()]) for name in ("image", "background", "mask", "depth")}
    expected = metrics.measure(whole, *predict(whole["image"], whole["background"]))
    result = evaluate(predict, batches())
    assert result.pop("images") == 4
    assert result == pytest.approx({name: float(value.mean()) for name, value in expected.items()}, rel=1e-5)
    assert result["rmse_metres"] == pytest.approx(10 * result["rmse"])
    assert evaluate(predict, batches(), per_image=True)["iou"] == pytest.approx(expected["iou"].tolist())
    depth_only = evaluate(lambda image, background: (None, image[:, :1]), batches())
    assert "iou" not in depth_only and "rmse" in depth_only


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
        (lambda p, y: metrics.iou(4 * p - 2, y), r"probabilities in \[0, 1\].*sigmoid"),
        (lambda p, y: metrics.iou(p * math.nan, y), "probabilities"),
        (lambda p, y: metrics.iou(p, y[:, 0]), "iou: expected two tensors of one shape"),
        (lambda p, y: metrics.rmse(p, y[:2]), "one shape"),
        (lambda p, y: metrics.rmse(p, y, region=y[:, 0]), "region: expected the depths' shape"),
    ],
)
def test_wrong_arguments_are_refused(maps, call, message):
    with pytest.raises(ValueError, match=message):
        call(*maps)
