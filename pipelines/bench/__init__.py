"""The labeler bench: record completions of held-out solutions once, replay every labeler on them, measure."""
