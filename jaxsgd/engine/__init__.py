"""Running a study: plan -> programs -> chunks, here or on workers.

plan                the plan of a study's runs: programs, widths, memory, time
program             the programs for its cells, and their inputs and outputs
program_cache       the compiled programs of this process, by their static parts
program_folder      compiled programs on disk
execution           the chunks of a plan, run on all local devices
task, dispatch      a chunk as text that any worker can run; chunks sent to workers, retried and received
cluster             the workers of a Dask scheduler, or of this machine
estimate, time_left the time that a sweep takes, before and during the run
progress            a sweep's progress, shown at a terminal or in a notebook
manifest            the origin of a result: machine, versions, plan
sweep               a study in, a Dataset out
verify              a stored result run again and compared
"""
