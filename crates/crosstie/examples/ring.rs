//! Two processes that talk over a ring, of which each knows the name: this program starts itself once more to have the other one.

use std::{env, error::Error, process::Command, time::Duration};

use crosstie::shm::{Directory, ReceiveError, Ring, ShmSafe, deadline_after, remove};

#[derive(Clone, Copy, Debug, ShmSafe)]
#[repr(C)]
struct Order {
    number: u64,
    cents: i64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = Directory::of_user()?;
    match env::args().nth(1) {
        None => shop(&directory, &format!("orders-{}", std::process::id())),
        Some(name) => till(&directory, &name),
    }
}

/// Sends orders to another process.
fn shop(directory: &Directory, name: &str) -> Result<(), Box<dyn Error>> {
    let mut till = Command::new(env::current_exe()?).arg(name).spawn()?;
    let name = name.parse()?;
    // Whoever comes first makes it.
    let ring = Ring::<Order>::open_or_create(directory, &name, 4)?;
    let mut sender = ring.sender()?;
    for number in 1..=10 {
        // Room for four: the sender sleeps while the ring is full, and is told if the receiver dies.
        sender.send(Order { number, cents: 250 }, deadline_after(Duration::from_secs(10)))?;
    }
    drop(sender);
    let status = till.wait()?;
    drop(ring);
    remove(directory, &name, false)?;
    if status.success() { Ok(()) } else { Err(format!("the till ended with {status}").into()) }
}

/// Adds up what comes, until the sender has left.
fn till(directory: &Directory, name: &str) -> Result<(), Box<dyn Error>> {
    let ring = Ring::<Order>::open_or_create(directory, &name.parse()?, 4)?;
    let mut receiver = ring.receiver()?;
    let (mut last, mut cents) = (0, 0);
    loop {
        match receiver.receive(deadline_after(Duration::from_secs(10))) {
            Ok(order) => (last, cents) = (order.number, cents + order.cents),
            Err(ReceiveError::Closed) => break,
            Err(error) => return Err(error.into()),
        }
    }
    println!("{last} orders, {cents} cents");
    Ok(())
}
