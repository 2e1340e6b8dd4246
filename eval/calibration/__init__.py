"""How sure "nothing relevant" is, fitted on a dataset's own questions and kept with the collection."""
