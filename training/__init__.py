"""Train a model bundle from labelled texts. The only package that imports TensorFlow; nothing imports it.

In a checkout its name is `training`, in the wheel `candor_training`, so its modules import each other relatively.
"""
