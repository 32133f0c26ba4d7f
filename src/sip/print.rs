//! From messages to bytes.
