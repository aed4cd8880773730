//! The project's own chores: tidy, test rings, tools.

fn main() {}
