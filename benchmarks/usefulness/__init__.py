"""Whether the labels train anything: process reward models and policies from them, measured on problems held out."""
