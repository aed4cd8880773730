//! A conformance suite: tests that hold for whatever has the right capabilities, over every subject.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

/// What is under test.
pub(crate) trait Subject {
    /// What it says it can do.
    type Capabilities: 'static;

    /// What tests are named after.
    fn name(&self) -> &'static str;
    fn capabilities(&self) -> &'static Self::Capabilities;

    /// Waits until nothing of the test before is in the way of the next one.
    fn settle(&self) {}
}

/// One test, over every subject for which it holds.
pub(crate) struct Test<S: Subject, Z> {
    pub(crate) name: &'static str,
    pub(crate) holds: fn(&S::Capabilities) -> bool,
    pub(crate) run: fn(&S, &Z),
}

/// A table of tests: `name if |capabilities| …;`, where the name is that of a function.
macro_rules! tests {
    ($($name:ident if $holds:expr;)*) => {
        &[$($crate::matrix::Test { name: stringify!($name), holds: $holds, run: $name }),*]
    };
}
pub(crate) use tests;

/// Runs the tests whose full name (`subject::test`) contains `wanted`; how many failed.
pub(crate) fn run<S: Subject, Z>(suite: &str, subjects: &[S], tests: &[Test<S, Z>], sizes: &Z, wanted: &str) -> usize {
    let (mut ran, mut failed) = (0, Vec::new());
    for subject in subjects {
        for test in tests.iter().filter(|test| (test.holds)(subject.capabilities())) {
            let name = format!("{}::{}", subject.name(), test.name);
            if !name.contains(wanted) {
                continue;
            }
            let began = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                subject.settle();
                (test.run)(subject, sizes);
            }));
            ran += 1;
            println!("test {name} ... {} ({:.2?})", if outcome.is_ok() { "ok" } else { "FAILED" }, began.elapsed());
            if outcome.is_err() {
                failed.push(name);
            }
        }
    }
    println!("\n{suite}: {ran} tests, {} failed {failed:?}\n", failed.len());
    failed.len()
}

/// The names of all tests.
pub(crate) fn names<S: Subject, Z>(subjects: &[S], tests: &[Test<S, Z>]) -> BTreeSet<String> {
    let of = |subject: &S| {
        let held = tests.iter().filter(|test| (test.holds)(subject.capabilities()));
        held.map(|test| format!("{}::{}", subject.name(), test.name)).collect::<Vec<_>>()
    };
    subjects.iter().flat_map(of).collect()
}
