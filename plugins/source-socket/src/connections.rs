//! All open connections, by number.

use crate::connection::{Connection, Peer};
use crate::poller::Poller;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Connections in numbered places; a place that was left is taken again.
pub(crate) struct Connections {
    places: Vec<Option<Connection>>,
    free: Vec<usize>,
    opened: u64,
}

impl Connections {
    pub(crate) fn new() -> Self {
        Self { places: Vec::new(), free: Vec::new(), opened: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut Connection> {
        self.places.get_mut(place)?.as_mut()
    }

    /// Takes a connection in and lets the poller tell of it by the number of its place.
    pub(crate) fn add(
        &mut self,
        socket: OwnedFd,
        peer: Peer,
        now: Instant,
        poller: &Poller,
    ) -> io::Result<()> {
        let place = self.free.pop().unwrap_or(self.places.len());
        if place == self.places.len() {
            self.places.push(None);
        }
        if let Err(error) = poller.watch(&socket, place as u64) {
            self.free.push(place);
            return Err(error);
        }
        self.opened += 1;
        self.places[place] = Some(Connection::new(self.opened, socket, peer, now));
        Ok(())
    }

    /// Lets a connection go; it is closed when it is dropped.
    pub(crate) fn remove(&mut self, place: usize) -> Option<Connection> {
        let removed = self.places.get_mut(place)?.take();
        if removed.is_some() {
            self.free.push(place);
        }
        removed
    }

    /// Places of connections that gave no line for so long.
    pub(crate) fn silent_for(&self, idle: Duration, now: Instant) -> Vec<usize> {
        let silent = |connection: &Connection| now.saturating_duration_since(connection.heard) >= idle;
        let places = self.places.iter().enumerate();
        places.filter(|(_, place)| place.as_ref().is_some_and(silent)).map(|(place, _)| place).collect()
    }
}
