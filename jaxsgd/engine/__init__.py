"""Running a study: plan -> programs -> chunks, here or on workers.

plan                how a study will be run: which path, how wide, in what memory
program             what is compiled for its cells, and how it is called
program_cache       the compiled programs of this process, by their static parts
program_folder      compiled programs on disk
execution           the chunks of a plan, run on all local devices
task, dispatch      one chunk as text, run by any worker; chunks handed out, retried and taken back
cluster             the workers of a Dask scheduler, or of this machine
estimate, time_left how long a sweep takes, before it runs and while it does
progress            that, shown at a terminal or in a notebook
manifest            what made a result, so that it can be made again
sweep               a study in, a Dataset out
verify              a stored result run again and compared
"""
