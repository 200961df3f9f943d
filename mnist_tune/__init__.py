"""A hyperparameter search service around a PyTorch MNIST classifier.

The house, from top to bottom. A wing imports from those below it only, and tests/test_house.py holds that:

    cli/           one file a command: parse, one call, print
    dashboard/     optuna-dashboard over our storage, filled in and guarded
    report/        a study as one HTML file
    terminal/      what people see of a study in a terminal
    models/        a chosen configuration trained, kept and measured on the test data
    results/       a study as frozen rows: its trials, its ranking, and what the ranking shows
    launch/        workers on an engine: Ray, Slurm
    worker/        one worker and its training process
    verification/  is what is stored as promised
    doctor/        is this machine, and this database, fit
    study/         make, open, copy, delete, reuse and change a study
    search/        Optuna's part: samplers and pruners
    queue/         each cell exactly once: claim, heartbeat, give back, put back
    records/       what is stored of a study, as typed values
    spec/          a study's TOML file, and what it may say
    jobs/          what is trained: the MNIST job
    storage/       the database: connections, schema, statements, Optuna's private parts
    files/         files that are whole or not there, and where they lie
    hardware/      what computes where
    processes/     processes: how they start, what they are called, their streams
    errors         what ends a command with one line
    failures       why an attempt did not complete
    text/          times and stored text as people read them
"""

__version__ = "0.6.0.dev0"
