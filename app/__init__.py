"""CloudFilm: the composition root and everything that serves people."""
