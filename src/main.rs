//! The command `b2bua`.

fn main() {}
