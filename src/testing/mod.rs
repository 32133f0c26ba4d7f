//! The rig: calls on virtual time.
