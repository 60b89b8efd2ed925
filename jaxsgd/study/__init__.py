"""What to run: a study, its axes and its cells.

study         Study: every field checked, with every mistake said at once
cells         the axes, and the cells that are their product
study_file    a study from a Python or JSON file
shipped       the studies that come with the package
subject       the problem that a study names, and what the engine needs to know of it
shape_check   orders, schedules and optimizers tried by shapes alone
dependencies  the objects that a user's code depends on
"""
