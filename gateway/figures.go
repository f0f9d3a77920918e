package gateway

import "github.com/prometheus/client_golang/prometheus"

// Figures are what can be read off the gateway at any moment: how its
// terminals stand, and what waits for tills. It is a prometheus.Collector.
type Figures struct{ Gateway *Gateway }

// Describe is part of prometheus.Collector.
func (f Figures) Describe(c chan<- *prometheus.Desc) { prometheus.DescribeByCollect(f, c) }

// Collect is part of prometheus.Collector.
func (f Figures) Collect(c chan<- prometheus.Metric) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tillwire_"+name, help, labels, nil)
	}
	connected := desc("terminal_connected", "1 while the terminal is connected.", "site", "tid")
	busy := desc("terminal_busy", "1 while the terminal is busy.", "site", "tid")
	seen := desc("terminal_last_seen_timestamp_seconds", "When the terminal last said something.", "site", "tid")
	waiting := desc("outbox_waiting", "Notices that wait for the till that keeps the tables.", "site")
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	flag := map[bool]float64{true: 1}
	f.Gateway.mu.RLock()
	sites := make(map[string]*site, len(f.Gateway.sites))
	for id, s := range f.Gateway.sites {
		sites[string(id)] = s
	}
	f.Gateway.mu.RUnlock()
	for id, s := range sites {
		for _, a := range s.actorList() {
			v := a.view.Load()
			gauge(connected, flag[v.Connected], id, string(v.TID))
			gauge(busy, flag[v.Busy], id, string(v.TID))
			if !v.LastSeen.IsZero() {
				gauge(seen, float64(v.LastSeen.UnixMilli())/1000, id, string(v.TID))
			}
		}
		gauge(waiting, float64(s.board.waiting()), id)
	}
}
