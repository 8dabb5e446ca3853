//! The daemon and its one-shot commands.
fn main() {}
