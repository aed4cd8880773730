//! A table whose tokens are never mistaken for those of an earlier tenant.

/// Values under numbers; a number is `generation << 32 | index`, so one that is given back never comes again (within 2³⁰ tenants of a slot).
pub(super) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    len: usize,
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slots<T> {
    const GENERATIONS: u32 = 1 << 29;

    /// A token for a value that follows by [`Slots::fill`], or a token to give back by [`Slots::release`].
    pub(super) fn reserve(&mut self) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, value: None });
            u32::try_from(self.slots.len() - 1).expect("descriptors end long before 2³² connections")
        });
        u64::from(self.slots[index as usize].generation) << 32 | u64::from(index)
    }

    pub(super) fn fill(&mut self, token: u64, value: T) {
        self.slots[(token as u32) as usize].value = Some(value);
        self.len += 1;
    }

    pub(super) fn release(&mut self, token: u64) {
        let index = token as u32;
        let slot = &mut self.slots[index as usize];
        slot.generation = (slot.generation + 1) % Self::GENERATIONS;
        self.free.push(index);
    }

    pub(super) fn get_mut(&mut self, token: u64) -> Option<&mut T> {
        let slot = self.slots.get_mut((token as u32) as usize)?;
        if u64::from(slot.generation) == token >> 32 { slot.value.as_mut() } else { None }
    }

    pub(super) fn take(&mut self, token: u64) -> Option<T> {
        self.get_mut(token)?;
        let value = self.slots[(token as u32) as usize].value.take();
        self.len -= 1;
        self.release(token);
        value
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The tokens of every value there is.
    pub(super) fn tokens(&self) -> Vec<u64> {
        let filled = self.slots.iter().enumerate().filter(|(_, slot)| slot.value.is_some());
        filled.map(|(index, slot)| u64::from(slot.generation) << 32 | index as u64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_an_earlier_tenant_finds_nothing() {
        let mut slots = Slots::default();
        let first = slots.reserve();
        slots.fill(first, 'a');
        assert_eq!(slots.take(first), Some('a'));
        let second = slots.reserve();
        slots.fill(second, 'b');
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.take(first), None);
        assert_eq!(slots.tokens(), [second]);
    }
}
