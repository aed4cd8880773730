//! Every connection of a run, and when something arrives on which.

use std::{collections::BTreeMap, sync::Arc};

use crosstie_core::{ManualClock, Mono};

use crate::{
    plan::Plan,
    wire::{Side, Tray, Wire},
};

struct Known {
    wire: Arc<Wire>,
    client: usize,
    /// When somebody is going to look at what has arrived, by side.
    planned: [Option<Mono>; 2],
}

/// The connections, by number.
pub(crate) struct Wires {
    clock: Arc<ManualClock>,
    tray: Arc<Tray>,
    known: BTreeMap<u64, Known>,
    made: u64,
}

/// What has come of the last acts on a wire.
pub(crate) struct Stirred {
    pub(crate) id: u64,
    pub(crate) client: usize,
    /// The broker's end is over: its driver has to know.
    pub(crate) is_over: bool,
    pub(crate) room_for_client: bool,
    pub(crate) room_for_broker: bool,
    /// Something arrives at these times, and nobody is going to look yet.
    pub(crate) arrivals: Vec<(Mono, Side)>,
}

impl Wires {
    pub(crate) fn new(clock: Arc<ManualClock>) -> Self {
        Self { clock, tray: Arc::default(), known: BTreeMap::new(), made: 0 }
    }

    pub(crate) fn make(&mut self, client: usize, plan: &Plan) -> Arc<Wire> {
        self.made += 1;
        let id = self.made;
        let random = plan.random("wire", id);
        let wire = Wire::new(id, plan.wire_weather(), random, Arc::clone(&self.clock), Arc::clone(&self.tray));
        let wire = Arc::new(wire);
        self.known.insert(id, Known { wire: Arc::clone(&wire), client, planned: [None; 2] });
        wire
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Arc<Wire>> {
        self.known.get(&id).map(|known| &known.wire)
    }

    /// Whose it is, as long as anybody may ask.
    pub(crate) fn client(&self, id: u64) -> usize {
        self.known[&id].client
    }

    /// The connections of the client that one end or the other still takes for alive.
    pub(crate) fn of(&self, client: usize) -> Vec<Arc<Wire>> {
        let own = self.known.values().filter(|known| known.client == client && !is_dead(&known.wire));
        own.map(|known| Arc::clone(&known.wire)).collect()
    }

    /// Somebody looks now.
    pub(crate) fn looked(&mut self, id: u64, side: Side) {
        if let Some(known) = self.known.get_mut(&id) {
            known.planned[side as usize] = None;
        }
    }

    /// What has happened on each wire that something was done to.
    pub(crate) fn stirred(&mut self) -> Vec<Stirred> {
        self.tray.take().into_iter().filter_map(|id| self.known.get_mut(&id).map(|known| known.stirred(id))).collect()
    }

    /// The most bytes on their way on any wire.
    pub(crate) fn held(&self) -> usize {
        self.known.values().filter(|known| !is_dead(&known.wire)).map(|known| known.wire.held()).max().unwrap_or(0)
    }
}

fn is_dead(wire: &Wire) -> bool {
    wire.is_over(Side::Client) && wire.is_over(Side::Broker)
}

impl Known {
    fn stirred(&mut self, id: u64) -> Stirred {
        let mut arrivals = Vec::new();
        for side in [Side::Client, Side::Broker] {
            let planned = &mut self.planned[side as usize];
            if let Some(at) = self.wire.next_arrival(side).filter(|at| planned.is_none_or(|planned| *at < planned)) {
                *planned = Some(at);
                arrivals.push((at, side));
            }
        }
        Stirred {
            id,
            client: self.client,
            is_over: self.wire.is_over(Side::Broker),
            room_for_client: self.wire.take_room(Side::Client),
            room_for_broker: self.wire.take_room(Side::Broker),
            arrivals,
        }
    }
}
