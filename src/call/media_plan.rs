//! Which leg speaks what, per stream: ports, keys, profiles.
