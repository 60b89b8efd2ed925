"""Studies: the settings to run, their axes and their cells.

study         Study: every field checked, with all mistakes in one message
cells         the axes, and the cells that are their product
study_file    a study from a Python or JSON file
shipped       the studies that come with the package
subject       the problem that a study names, with its size and its arrays
shape_check   checks of orders, schedules and optimizers by shapes alone
dependencies  the objects that a user's code depends on
"""
