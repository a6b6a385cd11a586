//! The page: families of samples, each with its type and help, those without a sample
//! left out.

use std::borrow::Cow;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// A label's name and value.
pub(super) type Label = (&'static str, Cow<'static, str>);

pub(super) fn label(name: &'static str, value: impl Into<String>) -> Label {
    (name, Cow::Owned(value.into()))
}

pub(super) fn none() -> Vec<Label> {
    Vec::new()
}

/// Milliseconds since the beginning of 1970, in the base unit.
pub(super) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

pub(super) struct Page<'a>(DescriptorEncoder<'a>);

impl<'a> Page<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// What may grow and shrink.
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        samples: impl IntoIterator<Item = (Vec<Label>, f64)>,
    ) -> std::fmt::Result {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in samples {
            if labels.is_empty() {
                family.encode_gauge(&value)?;
            } else {
                family.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    /// What only grows, from the node's start on.
    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        samples: impl IntoIterator<Item = (Vec<Label>, u64)>,
    ) -> std::fmt::Result {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (labels, value) in samples {
            if labels.is_empty() {
                family.encode_counter::<[Label; 0], _, f64>(&value, None)?;
            } else {
                family.encode_family(&labels)?.encode_counter::<[Label; 0], _, f64>(&value, None)?;
            }
        }
        Ok(())
    }

    /// How long something took: seconds, and how many were in each bucket.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        sum: f64,
        buckets: &[(f64, u64)],
    ) -> std::fmt::Result {
        let count = buckets.iter().map(|(_, count)| count).sum();
        self.0
            .encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?
            .encode_histogram::<[Label; 0]>(sum, count, buckets, None)
    }

    /// What is said in labels.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &[Label]) -> std::fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(&labels)
    }
}
