"""Order of the tests: quick ones first, whole notebooks last, so that a mistake shows early."""

ORDER = ["slow", "browser", "notebooks"]


def pytest_collection_modifyitems(items):
    def rank(item):
        return max((ORDER.index(mark.name) for mark in item.iter_markers() if mark.name in ORDER), default=-1)

    items.sort(key=rank)
