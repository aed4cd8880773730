//! A parent and its child: a typed channel, a region that both share, an exit status. This program starts itself once more to have the child.

use std::{env, error::Error, process::Command, time::Duration};

use crosstie::{
    Schema, Spawn, blocking, given,
    shm::{Region, ShmSafe, deadline_after},
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Schema)]
struct Transfer {
    from: u32,
    to: u32,
    cents: i64,
}

#[derive(Serialize, Deserialize, Schema)]
struct Receipt {
    version: u64,
}

/// What both see, each commit whole.
#[derive(Clone, Copy, Debug, ShmSafe)]
#[repr(C)]
struct Books {
    cents: [i64; 2],
}

const SOON: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).is_some() { child() } else { parent() }
}

fn parent() -> Result<(), Box<dyn Error>> {
    let books = Region::anonymous(Books { cents: [1000, 0] })?;
    let mut command = Command::new(env::current_exe()?);
    command.arg("child");
    // Killed when this process ends, unless told otherwise.
    let spawn = Spawn::new(command).give("books", books.participant().segment())?;
    let (mut child, process) = spawn.start_blocking::<Transfer, Receipt>()?;
    for _ in 0..3 {
        child.send(&Transfer { from: 0, to: 1, cents: 200 })?;
        println!("booked as version {}", child.recv()?.value.version);
    }
    drop(child);
    println!("the books say {:?}", books.snapshot(deadline_after(SOON))?.cents);
    let status = process.wait(SOON)?.ok_or("the child does not end")?;
    if status.success() { Ok(()) } else { Err(format!("the child ended with {status}").into()) }
}

fn child() -> Result<(), Box<dyn Error>> {
    let books = Region::<Books>::from_descriptor(given("books")?)?;
    let mut parent = blocking::parent::<Receipt, Transfer>()?;
    // Until the parent has closed the channel.
    while let Ok(transfer) = parent.recv() {
        let Transfer { from, to, cents } = transfer.value;
        let mut guard = books.lock(deadline_after(SOON))?.into_guard();
        guard.cents[from as usize] -= cents;
        guard.cents[to as usize] += cents;
        parent.send(&Receipt { version: guard.commit() })?;
    }
    Ok(())
}
