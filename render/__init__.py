"""Pixels become pictures: arrays, geometry and a frozen request in, an encoded picture out."""
