//! Which file a reading goes to, where the path has parts that come from readings.
//!
//! What was found for a sensor is kept: most readings cost a look into a table. Nothing is sorted, so that each file gets
//! its lines in the order in which they came.

use crate::disk::{Disk, FileError};
use crate::files::{Files, Handle};
use crate::hours::Hours;
use crate::template::{Parts, Template};
use cardcage_plugin_api::{Host, Record, SensorId, UnitId};
use std::path::Path;

/// The way from readings to files.
pub(crate) struct Router {
    template: Template,
    hours: Hours,
    /// By sensor; as long as the host's dictionary, at most.
    routes: Vec<Route>,
    path: String,
}

#[derive(Clone, Copy, Default)]
struct Route {
    handle: Handle,
    /// For what it holds, as far as the template asks.
    unit: UnitId,
    hour: i64,
}

impl Router {
    pub(crate) fn new(template: Template, hours: Hours) -> Self {
        Self { template, hours, routes: Vec::new(), path: String::new() }
    }

    /// The file of a reading; `None` if the host does not know its sensor or unit.
    #[inline]
    pub(crate) fn file<D: Disk>(
        &mut self,
        record: &Record,
        files: &mut Files<D>,
        host: &Host,
        now_ns: i64,
    ) -> Result<Option<Handle>, FileError> {
        let unit = if self.template.has_unit() { record.unit } else { UnitId::NONE };
        let hour = if self.template.has_time() { self.hours.turn_to(record.timestamp_ns) } else { 0 };
        if let Some(route) = self.routes.get(record.sensor.0 as usize)
            && (route.unit, route.hour) == (unit, hour)
        {
            if files.is_current(route.handle) {
                return Ok(Some(route.handle));
            }
            if let Some(handle) = files.again(route.handle, now_ns)? {
                return Ok(Some(handle));
            }
        }
        self.find(record.sensor, unit, hour, files, host, now_ns)
    }

    #[cold]
    fn find<D: Disk>(
        &mut self,
        id: SensorId,
        unit: UnitId,
        hour: i64,
        files: &mut Files<D>,
        host: &Host,
        now_ns: i64,
    ) -> Result<Option<Handle>, FileError> {
        let (Some(sensor), Some(code)) = (host.sensor_entry(id), host.unit_code(unit)) else {
            return Ok(None);
        };
        let tags: Vec<(&str, &str)> = sensor.tags().collect();
        let (date, hour_text) = self.hours.date_and_hour();
        let parts = Parts { sensor: sensor.name(), tags: &tags, unit: code, date, hour: hour_text };
        self.template.render(&parts, &mut self.path);
        let handle = files.file(Path::new(&self.path), now_ns)?;
        let index = id.0 as usize;
        if self.routes.len() <= index {
            self.routes.resize(index + 1, Route::default());
        }
        self.routes[index] = Route { handle, unit, hour };
        Ok(Some(handle))
    }
}
