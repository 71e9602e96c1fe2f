"""Align a background, shot from a slightly different place, with the photo. Used in notebook 05.

Most of the room is the same in both pictures and shows how the camera moved, as long as the object is left out.
"""

from typing import NamedTuple

import cv2
import numpy as np

from .photos import check_sizes

WORK_WIDTH = 640  # pixels; enough to find a shift to a tenth of a pixel of the network's 160
MAX_DEGREES, MAX_SCALE, MAX_SHIFT = 6.0, 1.08, 0.10  # a hand moves less (shift in widths): more is a wrong match
MAX_MISFIT_RATIO = 0.97  # the misfit must fall below this fraction of what it was; resampling alone lowers it
# The misfit must also fall below this fraction of the pictures' summed contrast: different rooms agree only where both
# are plain. Nine in ten correct pairs lie below it, and one or two in 100 pairs of different rooms.
MAX_MISFIT_PER_CONTRAST = 0.285
AGREEING_SHARE = 0.6  # share of the pixels that determine the motion, so that the object may be as large as the rest
MIN_MATCHES = 12
SEARCH_SIZE, SEARCH_DEGREES, SEARCH_SHIFT = 80, range(-4, 5), 0.08  # pixels across; shift of the shorter side
TRUNCATION = 0.03  # larger differences (of gray values from 0 to 1) count as this one: Black and Rangarajan 1996

Matrix = np.ndarray  # (2, 3), affine: from the photo's pixels to the background's


class Alignment(NamedTuple):
    """What `align` found. If the background is better left as it is, `applied` is False and `reason` says why."""

    background: np.ndarray  # uint8 (H, W, 3): as the photo's camera would have seen it
    matrix: Matrix
    applied: bool
    reason: str


def align(image: np.ndarray, background: np.ndarray) -> Alignment:
    """Register `background` to `image`, both uint8 (H, W, 3) of equal size, as `photos.read_picture` returns them.

    Two methods make a first guess: matched ORB features with RANSAC (any motion, but plain walls have no features, and
    a large object may have the most) and a search over a hand's turns and shifts at low resolution (any picture, but
    no zoom). Enhanced correlation (ECC, Evangelidis and Psarakis 2008) refines each on the pixels that agree. The
    better one is taken if it beats leaving the background as it is and the pictures then look alike. Where the moved
    background shows nothing, the photo itself fills in, at the background's exposure.
    """
    check_sizes(image, background)
    scale = min(1.0, WORK_WIDTH / max(image.shape[:2]))
    photo, empty = (_find_edges(picture, scale) for picture in (image, background))
    searched = _refine(photo, empty, _search(photo, empty), cv2.MOTION_EUCLIDEAN)
    matched = _refine(photo, empty, _match_features(photo, empty), cv2.MOTION_AFFINE)
    unmoved = np.eye(2, 3)
    found = [matrix for matrix in (searched, matched) if matrix is not None]
    best = min(found, key=lambda matrix: _misfit(photo, empty, matrix), default=unmoved)
    before, after = (_misfit(photo, empty, matrix) for matrix in (unmoved, best))
    contrast = np.abs(photo).mean() + np.abs(empty).mean()
    if not after < min(MAX_MISFIT_RATIO * before, MAX_MISFIT_PER_CONTRAST * contrast):
        reason = f"left as it was: no motion helps enough (misfit {before:.4f}, at best {after:.4f})"
        return Alignment(background, unmoved, False, reason)
    matrix = _enlarge(best, scale)
    shift, degrees = _shift_and_turn(matrix, image.shape)
    reason = f"moved by {shift:.1%} of the width, turned by {degrees:.2f} degrees (misfit {before:.4f} -> {after:.4f})"
    moved, seen = _warp(background, matrix, cv2.INTER_CUBIC)
    exposure = np.median((moved[seen] + 1.0) / (image[seen] + 1.0), axis=0)  # of the background, for each channel
    filling = np.rint(image * exposure).clip(0, 255).astype(np.uint8)
    return Alignment(np.where(seen[..., None], moved, filling), matrix, True, reason)


def _find_edges(picture: np.ndarray, scale: float) -> np.ndarray:
    """float32 (H, W), band-passed: light and exposure, which vary slowly, differ between the shots; edges do not."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    gray = cv2.GaussianBlur(gray.astype(np.float32) / 255, (0, 0), 1.0)
    return gray - cv2.GaussianBlur(gray, (0, 0), max(4.0, gray.shape[1] / 20))


def _warp(picture: np.ndarray, matrix: Matrix, interpolation: int = cv2.INTER_LINEAR) -> tuple[np.ndarray, np.ndarray]:
    """The moved picture, its borders repeated, and where it shows something: bool (H, W)."""
    size, inverse = picture.shape[1::-1], cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(picture, matrix, size, flags=interpolation | inverse, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.warpAffine(np.ones(picture.shape[:2], np.uint8), matrix, size, flags=cv2.INTER_NEAREST | inverse) > 0
    return moved, seen


def _misfit(photo: np.ndarray, empty: np.ndarray, matrix: Matrix) -> float:
    """Mean absolute difference of the 70 % of pixels that agree best, which leaves the object out."""
    moved, seen = _warp(empty, matrix)
    difference = np.sort(np.abs(photo - moved)[seen])
    return float(difference[: int(0.7 * difference.size)].mean())


def _search(photo: np.ndarray, empty: np.ndarray) -> Matrix:
    """The turn and shift with the least truncated difference, so that no large object's edges outweigh the room."""
    scale = SEARCH_SIZE / max(photo.shape)
    photo, empty = (cv2.resize(x, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for x in (photo, empty))
    height, width = photo.shape
    reach = round(SEARCH_SHIFT * min(height, width))
    inner = photo[reach : height - reach, reach : width - reach]  # what stays in the picture under every shift
    least, best = np.inf, None
    for degrees in SEARCH_DEGREES:
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
        turned, _ = _warp(empty, turn)
        for y, x in np.ndindex(2 * reach + 1, 2 * reach + 1):
            difference = cv2.absdiff(inner, turned[y : y + inner.shape[0], x : x + inner.shape[1]])
            cost = cv2.mean(cv2.min(difference, TRUNCATION))[0]
            if cost < least:
                least, best = cost, np.c_[turn[:, :2], turn @ [x - reach, y - reach, 1]]
    return _enlarge(best, scale)


def _match_features(photo: np.ndarray, empty: np.ndarray) -> Matrix | None:
    """A similarity from ORB features and RANSAC, if enough of them match."""
    orb = cv2.ORB_create(1500)
    pictures = [np.uint8(np.clip(128 + 400 * x, 0, 255)) for x in (photo, empty)]
    (points, descriptors), (others, theirs) = (orb.detectAndCompute(picture, None) for picture in pictures)
    if descriptors is None or theirs is None:  # a picture without any feature
        return None
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(descriptors, theirs)
    if len(matches) < MIN_MATCHES:
        return None
    a = np.float32([points[match.queryIdx].pt for match in matches])
    b = np.float32([others[match.trainIdx].pt for match in matches])
    cv2.setRNGSeed(0)
    matrix, inliers = cv2.estimateAffinePartial2D(a, b, method=cv2.RANSAC, ransacReprojThreshold=2.0)
    return matrix if inliers.sum() >= MIN_MATCHES else None


def _refine(photo: np.ndarray, empty: np.ndarray, guess: Matrix | None, motion: int) -> Matrix | None:
    """Refine `guess` by ECC, from blurred to sharp; None if it does not converge to a plausible motion."""
    if guess is None:
        return None
    matrix = guess.astype(np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)
    for blur in (15, 7, 3):
        smooth_photo, smooth_empty = (cv2.GaussianBlur(x, (0, 0), blur / 3) for x in (photo, empty))
        difference = np.abs(smooth_photo - _warp(smooth_empty, matrix)[0])
        # A large object would pull the result away from a good guess: leave out the pixels that disagree most.
        agree = np.uint8(difference <= np.quantile(difference, AGREEING_SHARE))
        try:
            # The photo is the template, so the matrix leads from its pixels to the background's.
            _, matrix = cv2.findTransformECC(photo, empty, matrix, motion, stop, agree, blur)
        except cv2.error:  # pictures without structure, or too far apart
            return None
    matrix = matrix.astype(np.float64)
    shift, degrees = _shift_and_turn(matrix, photo.shape)
    scales = np.linalg.svd(matrix[:, :2], compute_uv=False)
    plausible = shift <= MAX_SHIFT and abs(degrees) <= MAX_DEGREES and np.abs(np.log(scales)).max() <= np.log(MAX_SCALE)
    return matrix if plausible else None


def _shift_and_turn(matrix: Matrix, shape: tuple[int, ...]) -> tuple[float, float]:
    """(shift of the picture's middle in widths, rotation in degrees)."""
    middle = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    shift = matrix[:, :2] @ middle + matrix[:, 2] - middle
    return float(np.hypot(*shift)) / shape[1], float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


def _enlarge(matrix: Matrix, scale: float) -> Matrix:
    """The same motion between pictures that are 1 / scale times as large; pixel centres are at +0.5."""
    half = 0.5 / scale - 0.5
    return np.c_[matrix[:, :2], matrix[:, 2] / scale + (half - matrix[:, :2] @ [half, half])]
