//! The object-safe twin of [`super::Application`], by which the server holds any of them.
/// An application that the binary knows, before it is built.
pub struct Registered {}
/// An application in use.
pub struct Bound {}
