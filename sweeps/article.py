"""Do the article's two trainings print stripes, and is what it printed what 64 seeds print?

Command: jaxsgd run article
         jaxsgd article, which runs these studies too, prints and draws them, and measures the rest
Cost:    TODO
Finding: TODO
"""

from jaxsgd.article import article_studies

STUDIES = article_studies()
"""By name: the shown run of each training, and the first epochs of 64 seeds of it."""
