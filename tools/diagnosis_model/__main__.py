"""Makes the model of `jaxsgd diagnose` anew."""

from tools.diagnosis_model.lesson import main

main()
