//! Looks inside a running or stopped agent.
fn main() {}
