from tests import annotation_check as annotation_check  # the check that pytest is told of in pyproject.toml
