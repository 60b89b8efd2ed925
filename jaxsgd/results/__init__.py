"""A result: a folder of chunks, and the labelled arrays that it becomes.

store     the folder: whole chunks or none, whatever happens
load      a folder read
dataset   chunks as an xarray.Dataset
axes      the axes of a result, by name and by value
metric    the metrics that a result has, and which way is better
export    a result in other formats
cell_runs a result as single runs, and trackers: those runs in the folders of experiment trackers
"""
