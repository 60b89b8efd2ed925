"""Studies: the settings to run, their axes and their cells.

study         Study: its names looked up, its problem and its optimizers checked by their shapes
fields        its fields, checked by themselves; its identity
field_types   the types of the fields
mistakes      the message for all mistakes of a study
batch_rules   hyperparameters that follow the batch size
dimensions    the axes of a study: zipped, drawn, and those of the problem
cells         the cells, which are the product of the dimensions
halving       which settings go on at each rung
kept          the parameters and optimizer states that a result keeps
observed      the observables of the runs, and the names of their variables
subject       the problem that a study names, with its size and its arrays
shape_check   checks of orders, schedules and optimizers by shapes alone
dependencies  the objects that a user's code depends on
own_code      a digest of the user's own code
study_file    a study from a Python or JSON file
shipped       the studies that come with the package
study_card    a study as a notebook shows it
"""
