package gateway

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tillwire/tillwire/txn"
)

// Metrics count what a gateway does. It is a prometheus.Collector.
type Metrics struct {
	sessions          *prometheus.GaugeVec
	requests          *prometheus.CounterVec
	faults            *prometheus.CounterVec
	outcomes          *prometheus.CounterVec
	queries           *prometheus.CounterVec
	deviations        prometheus.Counter
	signatureTimeouts prometheus.Counter
	late              prometheus.Counter
	corrected         prometheus.Counter
	joined            prometheus.Counter
	conflicts         prometheus.Counter
	orphans           prometheus.Counter
	resolved          prometheus.Counter
	pruned            prometheus.Counter
	stateSeconds      *prometheus.HistogramVec
	takeovers         prometheus.Counter
	takeoverLoops     prometheus.Counter
	delivered         *prometheus.CounterVec
	visits            *prometheus.CounterVec
	tables            prometheus.Gauge
	overrides         prometheus.Counter
	strays            prometheus.Counter
	running           *tally
	runningGauge      prometheus.GaugeFunc
}

// NewMetrics returns metrics that count from zero.
func NewMetrics() *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tillwire", Name: name, Help: help})
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "tillwire", Name: name, Help: help}, labels)
	}
	m := &Metrics{
		sessions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: "tillwire", Name: "connections", Help: "Tills connected at the moment.",
		}, []string{"face", "version"}),
		requests:          vector("requests_total", "Requests of tills, by method.", "method"),
		faults:            vector("errors_total", "Errors told to tills, by code.", "code"),
		outcomes:          vector("outcomes_total", "Ends of transactions and reports, by type and result. TIMED_OUT is counted when it is told; the truth that comes later is counted as well.", "type", "result"),
		queries:           vector("terminal_queries_total", "Answers of terminals to the question what became of a request.", "answer"),
		deviations:        counter("deviations_total", "Members of tills' messages that the contract does not know, or that were of another type and tolerated."),
		signatureTimeouts: counter("signature_timeouts_total", "Signatures that nobody verified in time."),
		late:              counter("late_outcomes_total", "Outcomes that came after TIMED_OUT had been told."),
		corrected:         counter("corrections_delivered_total", "Late outcomes that a till heard of."),
		joined:            counter("requests_joined_total", "Requests that joined an earlier one by its request key."),
		conflicts:         counter("conflicting_outcomes_total", "Outcomes that contradict what was recorded before."),
		orphans:           counter("orphan_outcomes_total", "Outcomes of requests that are not known here."),
		pruned:            counter("pruned_requests_total", "Requests past their keeping time that were removed."),
		resolved:          counter("resolved_by_hand_total", "Requests and payments of which an operator said what became of them."),
		stateSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "tillwire", Name: "state_seconds", Help: "Time that transactions of this process spent in a state, by state.",
			Buckets: []float64{0.01, 0.1, 1, 5, 10, 20, 40, 80, 120, 200, 300},
		}, []string{"state"}),
		takeovers:     counter("pat_takeovers_total", "Pay-At-Table connections that a newer one of the same site took over."),
		takeoverLoops: counter("pat_takeover_loops_total", "Takeovers beyond what a minute should see: tills push each other off."),
		delivered:     vector("pat_notices_delivered_total", "Notices that tills have, by method.", "method"),
		visits:        vector("visits_total", "Ends of visits at tables, by result.", "result"),
		tables:        prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tillwire", Name: "tables_stored", Help: "Tables that tills have stored here at the moment."}),
		overrides:     counter("table_lock_overrides_total", "Locks of stored tables that a till overrode or an operator ended."),
		strays:        counter("table_stray_payments_total", "Payments for stored tables that were deleted before the payment was known."),
		running:       newTally(),
	}
	m.runningGauge = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "tillwire", Name: "running", Help: "Transactions and reports that hold a terminal at the moment.",
	}, func() float64 { n, _ := m.running.look(); return float64(n) })
	return m
}

func (m *Metrics) all() []prometheus.Collector {
	return []prometheus.Collector{
		m.resolved, m.pruned,
		m.sessions, m.requests, m.faults, m.outcomes, m.queries, m.deviations, m.signatureTimeouts,
		m.tables, m.overrides, m.strays,
		m.late, m.corrected, m.joined, m.conflicts, m.orphans, m.stateSeconds, m.takeovers, m.takeoverLoops, m.delivered, m.visits, m.runningGauge,
	}
}

// Describe is part of prometheus.Collector.
func (m *Metrics) Describe(c chan<- *prometheus.Desc) {
	for _, x := range m.all() {
		x.Describe(c)
	}
}

// Collect is part of prometheus.Collector.
func (m *Metrics) Collect(c chan<- prometheus.Metric) {
	for _, x := range m.all() {
		x.Collect(c)
	}
}

func (m *Metrics) outcome(t txn.Transaction, r txn.Result) {
	m.outcomes.WithLabelValues(string(t.Request.Type), string(r)).Inc()
}

// A tally counts what runs and tells when something of it ends.
type tally struct {
	mu      sync.Mutex
	n       int
	changed chan struct{}
}

func newTally() *tally { return &tally{changed: make(chan struct{})} }

func (t *tally) add() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
}

func (t *tally) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n--
	close(t.changed)
	t.changed = make(chan struct{})
}

// look returns the count and a channel that is closed when it goes down.
func (t *tally) look() (int, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n, t.changed
}
