"""Do the article's two trainings print stripes, and are its printed numbers those of an ordinary seed?

Command: jaxsgd run article
         jaxsgd article prints and draws these runs, runs what is missing of them, and measures the article's claim
Cost:    130 runs of 10 to 200 epochs, about 14 s of one core besides compiling; 0.1 MiB
Finding: Yes, the shown runs print 2 stripes (10 batches) and 4 (20 batches), and the position in the epoch explains more
         than 99.8 % of the variance without the trend. Over 64 seeds the gaps are those of random samples: 0.144 and 0.243,
         where sampling alone gives 0.138 and 0.255. The article's first loss lies at percentile 28 of them, but its gap of
         0.0161 at 4.7 and its slope at 3.1, both outside the central 90 %.
"""

from jaxsgd.article import article_studies

STUDIES = article_studies()
"""The studies by name: the shown run of each training, and the first 10 epochs of 64 seeds of it."""
