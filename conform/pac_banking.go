package conform

// pacBanking: the banking report can be run.
func pacBanking() Check {
	return Check{ID: "pac.banking", Needs: ByWire, Acts: []Act{{Order: report("reportBanking", "banking"), Judge: complete}}}
}
