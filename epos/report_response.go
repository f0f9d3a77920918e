package epos

import (
	"context"

	"github.com/tillwire/tillwire/wire"
)

// reportResponse takes the copy of a report that was started at a terminal (the
// contract, section 5.7). A till that keeps none says that it has it: it would
// be sent for ever.
func (s *tableServer) reportResponse(params wire.Raw) (*call, error) {
	r, err := wire.DecodeReportResponse(params)
	return &call{
		method: wire.MethodReportResponse, about: "reports of " + r.TID, limit: NoticeTimeout, notice: true,
		do: func(ctx context.Context) (wire.Message, error) {
			h, ok := s.Handler.(TableReportHandler)
			if !ok {
				return recorded(nil)
			}
			return recorded(h.TableReport(ctx, reportOf(r)))
		},
	}, err
}
