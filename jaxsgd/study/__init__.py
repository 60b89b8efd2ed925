"""Studies: the settings to run, their axes and their cells.

study         Study: every field checked, with all mistakes in one message
dimensions    the axes of a study: zipped, drawn, and those of the problem
cells         the cells, which are the product of the dimensions
study_file    a study from a Python or JSON file
shipped       the studies that come with the package
subject       the problem that a study names, with its size and its arrays
shape_check   checks of orders, schedules and optimizers by shapes alone
dependencies  the objects that a user's code depends on
"""
