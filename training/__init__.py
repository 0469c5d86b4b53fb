"""From labelled texts to a model bundle. The only package that imports TensorFlow; nothing imports it."""
