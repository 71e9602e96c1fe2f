"""Lay a background that was shot from a slightly other place over the photo. Used in notebook 05.

Between two shots by hand the camera moves a little, and every edge in the room becomes a difference between the
pictures. What remains the same is most of the room: it tells how the camera moved, if one does not ask the object.
"""

from typing import NamedTuple

import cv2
import numpy as np

from .photos import check_sizes

WORK_WIDTH = 640  # pixels; enough to find a shift to a tenth of a pixel of the network's 160
# What a hand's slip can be; anything beyond is a wrong match. Where two rooms are forced on each other, the
# refinement mostly ends out there.
MOST_DEGREES, MOST_SCALE, MOST_SHIFT = 6.0, 1.08, 0.10
WORTH = 0.97  # the misfit must fall below this part of what it was: resampling alone smooths, and so lowers it a little
# The misfit must also fall below this part of both pictures' contrast added up: two rooms that are forced on each
# other agree only where both are plain. Of right ones nine in ten lie below, of different rooms one or two in 100.
ALIKE = 0.285
KEEP = 0.6  # share of the pixels that are asked how the camera moved: the object may be as large as the rest
FEWEST_MATCHES = 12
# The search over all slips: pixels across, degrees, shift in parts of the shorter side, and from which difference on
# (of gray values from 0 to 1) pixels count as merely different, so that a large object's edges do not decide.
SEARCH_SIZE, SEARCH_DEGREES, SEARCH_SHIFT, DIFFERENT = 80, range(-4, 5), 0.08, 0.03


class Alignment(NamedTuple):
    """What `align` found. `applied` is False if the background was better left as it is; `reason` says why."""

    background: np.ndarray  # uint8 (H, W, 3): as the photo's camera would have seen it
    matrix: np.ndarray  # float64 (2, 3): from the photo's pixels to the background's (affine)
    applied: bool
    reason: str


def align(image: np.ndarray, background: np.ndarray) -> Alignment:
    """Register `background` on `image`, uint8 (H, W, 3) of equal size; both as `photos.read_picture` gives them.

    Two first guesses, since each fails where the other does not: matched ORB features with RANSAC (any motion, but
    plain walls have no features, and a large object may have the most), and a search over all turns and shifts of
    a hand at low resolution (any picture, but no zoom). Enhanced correlation (ECC, Evangelidis and Psarakis 2008)
    refines each on the pixels that agree. The better one is taken if it beats leaving things as they are and the
    pictures then look alike. Where the shifted background shows nothing, the photo itself fills in, at the
    background's exposure: no difference, no object.
    """
    check_sizes(image, background)
    scale = min(1.0, WORK_WIDTH / max(image.shape[:2]))
    photo, empty = (_gray(picture, scale) for picture in (image, background))
    before = _misfit(photo, empty, np.eye(2, 3))
    guesses = (_search(photo, empty), cv2.MOTION_EUCLIDEAN), (_match(photo, empty), cv2.MOTION_AFFINE)
    found = [_refine(photo, empty, guess, motion) for guess, motion in guesses if guess is not None]
    found = [matrix for matrix in found if matrix is not None and _plausible(matrix, photo.shape)]
    best = min(found, key=lambda matrix: _misfit(photo, empty, matrix), default=np.eye(2, 3))
    after = _misfit(photo, empty, best)
    if not after < WORTH * before:
        reason = f"left as it was: no shift makes the pictures agree better (misfit {before:.4f}, at best {after:.4f})"
        return Alignment(background, np.eye(2, 3), False, reason)
    if not after < ALIKE * (np.abs(photo).mean() + np.abs(empty).mean()):
        reason = f"left as it was: the pictures have too little in common (misfit {before:.4f}, at best {after:.4f})"
        return Alignment(background, np.eye(2, 3), False, reason)
    matrix = _at_full_size(best, scale)
    height, width = image.shape[:2]
    shift, degrees = _describe(matrix, (height, width))
    reason = f"moved by {shift:.1%} of the width, turned by {degrees:.2f} degrees (misfit {before:.4f} -> {after:.4f})"
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(background, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    seen = _seen(matrix, (height, width))
    exposure = np.median((moved[seen] + 1.0) / (image[seen] + 1.0), axis=0)  # of the background, one number a channel
    filling = np.rint(image * exposure).clip(0, 255).astype(np.uint8)
    return Alignment(np.where(seen[..., None], moved, filling), matrix, True, reason)


def _gray(picture, scale):
    """float32 in [0, 1], without what changes slowly: light and exposure differ between the shots, edges do not."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if scale < 1:
        gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    gray = cv2.GaussianBlur(gray.astype(np.float32) / 255, (0, 0), 1.0)
    return gray - cv2.GaussianBlur(gray, (0, 0), max(4.0, gray.shape[1] / 20))


def _warp(picture, matrix):
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, matrix, picture.shape[1::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _seen(matrix, shape):
    """Where the moved background shows something: bool (H, W)."""
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(np.ones(shape, np.uint8), matrix, shape[::-1], flags=flags) > 0


def _misfit(photo, empty, matrix):
    """Mean absolute difference of the 70 % of pixels that agree best: the object is not asked."""
    difference = np.abs(photo - _warp(empty, matrix))[_seen(matrix, photo.shape)]
    return float(np.sort(difference)[: int(0.7 * difference.size)].mean()) if difference.size else np.inf


def _search(photo, empty):
    """The turn and shift (2, 3) with the least truncated difference, of all that a hand's slip can be.

    No pixel counts for more than DIFFERENT, as in robust statistics (Black and Rangarajan 1996): the object is an
    outlier wherever it is laid, and the room decides as long as enough of it is seen.
    """
    scale = SEARCH_SIZE / max(photo.shape)
    photo, empty = (cv2.resize(x, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for x in (photo, empty))
    height, width = photo.shape
    reach = round(SEARCH_SHIFT * min(height, width))
    inner = photo[reach : height - reach, reach : width - reach]  # what stays in the picture under every shift
    least, best = np.inf, None
    for degrees in SEARCH_DEGREES:
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
        turned = _warp(empty, turn)
        for y, x in np.ndindex(2 * reach + 1, 2 * reach + 1):
            difference = cv2.absdiff(inner, turned[y : y + inner.shape[0], x : x + inner.shape[1]])
            cost = cv2.mean(cv2.min(difference, DIFFERENT))[0]
            if cost < least:
                least, best = cost, np.c_[turn[:, :2], turn @ [x - reach, y - reach, 1]]
    return _at_full_size(best, scale)


def _match(photo, empty):
    """A similarity (2, 3) from ORB features and RANSAC, or None."""
    orb, bytes_ = cv2.ORB_create(1500), [np.uint8(np.clip(128 + 400 * x, 0, 255)) for x in (photo, empty)]
    (points, descriptors), (others, theirs) = (orb.detectAndCompute(picture, None) for picture in bytes_)
    if descriptors is None or theirs is None:
        return None
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(descriptors, theirs)
    if len(matches) < FEWEST_MATCHES:
        return None
    a = np.float32([points[match.queryIdx].pt for match in matches])
    b = np.float32([others[match.trainIdx].pt for match in matches])
    cv2.setRNGSeed(0)
    matrix, inliers = cv2.estimateAffinePartial2D(a, b, method=cv2.RANSAC, ransacReprojThreshold=2.0)
    return matrix if matrix is not None and inliers.sum() >= FEWEST_MATCHES else None


def _refine(photo, empty, guess, motion):
    """ECC for an OpenCV motion from `guess`, from blurred to sharp; (2, 3), or None where it does not converge.

    The pixels that disagree most under the present guess (the object, if the guess is good) are left out, from the
    first blur on: a large object would lead away from a good guess at once.
    """
    matrix = guess.astype(np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)
    for blur in (15, 7, 3):
        smooth_photo, smooth_empty = (cv2.GaussianBlur(x, (0, 0), blur / 3) for x in (photo, empty))
        difference = np.abs(smooth_photo - _warp(smooth_empty, matrix))
        agree = np.uint8(difference <= np.quantile(difference, KEEP))
        try:
            # The template is the photo: the matrix then leads from its pixels to the background's.
            _, matrix = cv2.findTransformECC(photo, empty, matrix, motion, stop, agree, blur)
        except cv2.error:  # not converged: pictures without structure, or too far apart
            return None
    return matrix.astype(np.float64)


def _describe(matrix, shape):
    """(shift of the picture's middle in widths, rotation in degrees)."""
    middle = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    moved = matrix[:, :2] @ middle + matrix[:, 2]
    return float(np.hypot(*(moved - middle))) / shape[1], float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


def _plausible(matrix, shape):
    shift, degrees = _describe(matrix, shape)
    scales = np.linalg.svd(matrix[:, :2], compute_uv=False)
    fits = scales.max() <= MOST_SCALE and scales.min() >= 1 / MOST_SCALE
    return fits and shift <= MOST_SHIFT and abs(degrees) <= MOST_DEGREES


def _at_full_size(matrix, scale):
    """The same motion between pictures that are 1 / scale times larger; pixel centres are at +0.5."""
    half = 0.5 / scale - 0.5
    full = matrix.copy()
    full[:, 2] = matrix[:, 2] / scale
    full[:, 2] += half - matrix[:, :2] @ np.array([half, half])
    return full
