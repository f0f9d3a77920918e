package journal

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tillwire/tillwire/report"
	"github.com/tillwire/tillwire/table"
	"github.com/tillwire/tillwire/txn"
)

// version is of every kind's form in forms.go, but for those that say otherwise.
const version = 1

// lockIntendedVersion is of an intention to lock that names a kept table: whoever
// does not know of those would ask a till instead.
const lockIntendedVersion = 2

// The kinds. A kind that was written once is read for ever.
const (
	kindAccepted          = "txn.accepted"
	kindDispatched        = "txn.dispatched"
	kindStarted           = "txn.started"
	kindNotified          = "txn.notified"
	kindCancelWished      = "txn.cancelWished"
	kindSignatureWanted   = "txn.signatureWanted"
	kindSignatureAnswered = "txn.signatureAnswered"
	kindLinkLost          = "txn.linkLost"
	kindRestarted         = "txn.restarted"
	kindResumed           = "txn.resumed"
	kindCouldNotTell      = "txn.couldNotTell"
	kindEnded             = "txn.ended"
	kindNeverRan          = "txn.neverRan"
	kindAnswered          = "txn.answered"
	kindResolved          = "txn.resolved"
	kindContradicted      = "txn.contradicted"
	kindCorrected         = "txn.corrected"

	kindReportDispatched  = "report.dispatched"
	kindReportBrought     = "report.brought"
	kindReportDelivered   = "report.delivered"
	kindReportRequeued    = "report.requeued"
	kindReportInterrupted = "report.interrupted"
	kindReportMade        = "report.made"
	kindReportGaveUp      = "report.gaveUp"
	kindReportNotMade     = "report.notMade"

	kindOpened          = "table.opened"
	kindLockIntended    = "table.lockIntended"
	kindLockConfirmed   = "table.lockConfirmed"
	kindLockRefused     = "table.lockRefused"
	kindLockUnanswered  = "table.lockUnanswered"
	kindNotAsked        = "table.notAsked"
	kindBillWanted      = "table.billWanted"
	kindBillAnswered    = "table.billAnswered"
	kindPaymentStarted  = "table.paymentStarted"
	kindPaymentTaken    = "table.paymentTaken"
	kindPaymentNotTaken = "table.paymentNotTaken"
	kindPaymentResolved = "table.paymentResolved"
	kindLeft            = "table.left"
	kindTerminalLost    = "table.terminalLost"
	kindTerminalBack    = "table.terminalBack"
	kindQueued          = "table.queued"
	kindDelivered       = "table.delivered"
	kindRequeued        = "table.requeued"

	kindDuplicateWanted = "duplicate.wanted"
	kindDuplicateFound  = "duplicate.found"

	kindOrphan = "orphan.told"
)

// EncodeTxn returns the record of e. At is the record's time, usually the
// event's own. Card numbers are masked once more.
func EncodeTxn(e txn.Event, at time.Time) Record {
	at = utc(at)
	switch e := e.(type) {
	case txn.Accepted:
		return encode(kindAccepted, at, acceptedForm{e.ID, e.Site, e.TID, requestForm(e.Request), callerForm(e.Caller), maskedAll(e.Deviations), own(e.At, at)})
	case txn.Dispatched:
		if e.Memory == "" {
			return encodeTimed(kindDispatched, at, e.At)
		}
		return encode(kindDispatched, at, dispatchedForm{e.Memory, own(e.At, at)})
	case txn.Started:
		return encodeTimed(kindStarted, at, at)
	case txn.Notified:
		return encodeNotified(e, at)
	case txn.CancelWished:
		return encodeTimed(kindCancelWished, at, e.At)
	case txn.SignatureWanted:
		return encode(kindSignatureWanted, at, wantedForm{formWish(e.Wish), own(e.At, at)})
	case txn.SignatureAnswered:
		return encode(kindSignatureAnswered, at, signedForm{e.Accepted, e.By, maskedAll(e.Deviations), own(e.At, at)})
	case txn.LinkLost:
		return encodeTimed(kindLinkLost, at, e.At)
	case txn.Restarted:
		return encodeTimed(kindRestarted, at, e.At)
	case txn.Resumed:
		return encodeTimed(kindResumed, at, e.At)
	case txn.CouldNotTell:
		return encodeTimed(kindCouldNotTell, at, e.At)
	case txn.Ended:
		return encodeOutcome(kindEnded, at, outcomeEventForm{formOutcome(e.Outcome), own(e.At, at)})
	case txn.NeverRan:
		return encode(kindNeverRan, at, neverRanForm{e.Reason, own(e.At, at)})
	case txn.Answered:
		return encode(kindAnswered, at, answeredForm{e.Told, own(e.At, at)})
	case txn.Resolved:
		f := resolvedForm{resolutionForm(e.Resolution), own(e.At, at)}
		f.Resolution.Reason = masked(f.Resolution.Reason)
		return encode(kindResolved, at, f)
	case txn.Contradicted:
		return encodeOutcome(kindContradicted, at, outcomeEventForm{formOutcome(e.Outcome), own(e.At, at)})
	case txn.Corrected:
		return encode(kindCorrected, at, correctedForm{e.Lapsed, own(e.At, at)})
	default:
		panic(fmt.Sprintf("journal: no kind for %T", e))
	}
}

// DecodeTxn returns the event that r is the record of, or an error that is a
// *NewerError when a newer binary wrote it.
func DecodeTxn(r Record) (txn.Event, error) {
	switch r.Kind {
	case kindAccepted:
		f, err := decode[acceptedForm](r)
		return txn.Accepted{
			ID: f.ID, Site: f.Site, TID: f.TID, Request: txn.Request(f.Request), Caller: txn.Caller(f.Caller),
			Deviations: maskedAll(f.Deviations), At: when(f.At, r.At),
		}, err
	case kindDispatched:
		f, err := decode[dispatchedForm](r)
		return txn.Dispatched{Memory: f.Memory, At: when(f.At, r.At)}, err
	case kindStarted:
		_, err := decode[struct{}](r)
		return txn.Started{}, err
	case kindNotified:
		f, err := decode[notifiedForm](r)
		return txn.Notified{Value: f.Value, At: when(f.At, r.At)}, err
	case kindCancelWished:
		at, err := decodeTimed(r)
		return txn.CancelWished{At: at}, err
	case kindSignatureWanted:
		f, err := decode[wantedForm](r)
		return txn.SignatureWanted{Wish: f.Wish.wish(), At: when(f.At, r.At)}, err
	case kindSignatureAnswered:
		f, err := decode[signedForm](r)
		return txn.SignatureAnswered{Accepted: f.Accepted, By: f.By, Deviations: maskedAll(f.Deviations), At: when(f.At, r.At)}, err
	case kindLinkLost:
		at, err := decodeTimed(r)
		return txn.LinkLost{At: at}, err
	case kindRestarted:
		at, err := decodeTimed(r)
		return txn.Restarted{At: at}, err
	case kindResumed:
		at, err := decodeTimed(r)
		return txn.Resumed{At: at}, err
	case kindCouldNotTell:
		at, err := decodeTimed(r)
		return txn.CouldNotTell{At: at}, err
	case kindEnded:
		f, err := decode[outcomeEventForm](r)
		return txn.Ended{Outcome: f.Outcome.outcome(), At: when(f.At, r.At)}, err
	case kindNeverRan:
		f, err := decode[neverRanForm](r)
		return txn.NeverRan{Reason: f.Reason, At: when(f.At, r.At)}, err
	case kindAnswered:
		f, err := decode[answeredForm](r)
		return txn.Answered{Told: f.Told, At: when(f.At, r.At)}, err
	case kindResolved:
		f, err := decode[resolvedForm](r)
		f.Resolution.Reason = masked(f.Resolution.Reason)
		return txn.Resolved{Resolution: txn.Resolution(f.Resolution), At: when(f.At, r.At)}, err
	case kindContradicted:
		f, err := decode[outcomeEventForm](r)
		return txn.Contradicted{Outcome: f.Outcome.outcome(), At: when(f.At, r.At)}, err
	case kindCorrected:
		f, err := decode[correctedForm](r)
		return txn.Corrected{Lapsed: f.Lapsed, At: when(f.At, r.At)}, err
	}
	return nil, unknownKind(r)
}

// ReplayTxn returns the transaction that the records tell of.
func ReplayTxn(records []Record) (txn.Transaction, error) {
	return replay(records, DecodeTxn, txn.Apply)
}

// EncodeReport is EncodeTxn for the events of a report.
func EncodeReport(e report.Event, at time.Time) Record {
	at = utc(at)
	switch e := e.(type) {
	case report.Dispatched:
		return encode(kindReportDispatched, at, reportDispatchedForm{e.ID, e.Site, e.TID, e.Type, maskedAll(e.Deviations), own(e.At, at)})
	case report.Brought:
		return encode(kindReportBrought, at, broughtForm{e.ID, e.Site, e.TID, formReport(e.Report), own(e.At, at)})
	case report.Delivered:
		return encodeTimed(kindReportDelivered, at, e.At)
	case report.Requeued:
		return encode(kindReportRequeued, at, requeuedForm{e.By, masked(e.Reason), own(e.At, at)})
	case report.Interrupted:
		return encodeTimed(kindReportInterrupted, at, e.At)
	case report.Made:
		return encode(kindReportMade, at, madeForm{formReport(e.Report), own(e.At, at)})
	case report.GaveUp:
		return encodeTimed(kindReportGaveUp, at, e.At)
	case report.NotMade:
		return encode(kindReportNotMade, at, notMadeForm{masked(e.Reason), own(e.At, at)})
	default:
		panic(fmt.Sprintf("journal: no kind for %T", e))
	}
}

// DecodeReport is DecodeTxn for the events of a report.
func DecodeReport(r Record) (report.Event, error) {
	switch r.Kind {
	case kindReportDispatched:
		f, err := decode[reportDispatchedForm](r)
		return report.Dispatched{ID: f.ID, Site: f.Site, TID: f.TID, Type: f.Type, Deviations: maskedAll(f.Deviations), At: when(f.At, r.At)}, err
	case kindReportBrought:
		f, err := decode[broughtForm](r)
		return report.Brought{ID: f.ID, Site: f.Site, TID: f.TID, Report: f.Report.report(), At: when(f.At, r.At)}, err
	case kindReportDelivered:
		at, err := decodeTimed(r)
		return report.Delivered{At: at}, err
	case kindReportRequeued:
		f, err := decode[requeuedForm](r)
		return report.Requeued{By: f.By, Reason: masked(f.Reason), At: when(f.At, r.At)}, err
	case kindReportInterrupted:
		at, err := decodeTimed(r)
		return report.Interrupted{At: at}, err
	case kindReportMade:
		f, err := decode[madeForm](r)
		return report.Made{Report: f.Report.report(), At: when(f.At, r.At)}, err
	case kindReportGaveUp:
		at, err := decodeTimed(r)
		return report.GaveUp{At: at}, err
	case kindReportNotMade:
		f, err := decode[notMadeForm](r)
		return report.NotMade{Reason: masked(f.Reason), At: when(f.At, r.At)}, err
	}
	return nil, unknownKind(r)
}

// ReplayReport returns the run of the report that the records tell of.
func ReplayReport(records []Record) (report.Run, error) {
	return replay(records, DecodeReport, report.Apply)
}

// EncodeTable is EncodeTxn for the events of a Pay-At-Table visit. The ids of
// payments and tables stay as they are: a till knows its own by them, and a
// payment's id may look like a card number.
func EncodeTable(e table.Event, at time.Time) Record {
	at = utc(at)
	switch e := e.(type) {
	case table.Opened:
		return encode(kindOpened, at, openedForm{e.ID, e.Site, e.TID, e.Waiter, own(e.At, at)})
	case table.LockIntended:
		r := encode(kindLockIntended, at, lockIntendedForm{e.Table, e.Kept, own(e.At, at)})
		if e.Kept != "" {
			r.Version = lockIntendedVersion
		}
		return r
	case table.LockConfirmed:
		return encode(kindLockConfirmed, at, lockConfirmedForm{e.Amount, e.Currency, own(e.At, at)})
	case table.LockRefused:
		return encode(kindLockRefused, at, whyForm{masked(e.Why), own(e.At, at)})
	case table.LockUnanswered:
		return encode(kindLockUnanswered, at, whyForm{masked(e.Why), own(e.At, at)})
	case table.NotAsked:
		return encode(kindNotAsked, at, whyForm{masked(e.Why), own(e.At, at)})
	case table.BillWanted:
		return encodeTimed(kindBillWanted, at, e.At)
	case table.BillAnswered:
		return encodeTimed(kindBillAnswered, at, e.At)
	case table.PaymentStarted:
		return encode(kindPaymentStarted, at, paymentStartedForm{e.Payment, e.Asked, e.Memory, own(e.At, at)})
	case table.PaymentTaken:
		return encode(kindPaymentTaken, at, paymentTakenForm{e.Payment, formReceipt(e.Receipt), own(e.At, at)})
	case table.PaymentNotTaken:
		return encode(kindPaymentNotTaken, at, paymentNotTakenForm{e.Payment, own(e.At, at)})
	case table.PaymentResolved:
		return encode(kindPaymentResolved, at, paymentResolvedForm{e.Payment, e.Taken, formReceipt(e.Receipt), e.By, masked(e.Reason), own(e.At, at)})
	case table.Left:
		return encode(kindLeft, at, whyForm{masked(e.Why), own(e.At, at)})
	case table.TerminalLost:
		return encodeTimed(kindTerminalLost, at, e.At)
	case table.TerminalBack:
		return encodeTimed(kindTerminalBack, at, e.At)
	case table.Queued:
		return encode(kindQueued, at, queuedForm{e.Notice, e.Payments, own(e.At, at)})
	case table.Delivered:
		return encode(kindDelivered, at, deliveredForm{e.N, own(e.At, at)})
	case table.Requeued:
		return encode(kindRequeued, at, visitRequeuedForm{e.N, e.By, masked(e.Reason), own(e.At, at)})
	default:
		panic(fmt.Sprintf("journal: no kind for %T", e))
	}
}

// DecodeTable is DecodeTxn for the events of a visit.
func DecodeTable(r Record) (table.Event, error) {
	switch r.Kind {
	case kindOpened:
		f, err := decode[openedForm](r)
		return table.Opened{ID: f.ID, Site: f.Site, TID: f.TID, Waiter: f.Waiter, At: when(f.At, r.At)}, err
	case kindLockIntended:
		f, err := decodeUpTo[lockIntendedForm](r, lockIntendedVersion)
		return table.LockIntended{Table: f.Table, Kept: f.Kept, At: when(f.At, r.At)}, err
	case kindLockConfirmed:
		f, err := decode[lockConfirmedForm](r)
		return table.LockConfirmed{Amount: f.Amount, Currency: f.Currency, At: when(f.At, r.At)}, err
	case kindLockRefused:
		why, at, err := decodeWhy(r)
		return table.LockRefused{Why: why, At: at}, err
	case kindLockUnanswered:
		why, at, err := decodeWhy(r)
		return table.LockUnanswered{Why: why, At: at}, err
	case kindNotAsked:
		why, at, err := decodeWhy(r)
		return table.NotAsked{Why: why, At: at}, err
	case kindBillWanted:
		at, err := decodeTimed(r)
		return table.BillWanted{At: at}, err
	case kindBillAnswered:
		at, err := decodeTimed(r)
		return table.BillAnswered{At: at}, err
	case kindPaymentStarted:
		f, err := decode[paymentStartedForm](r)
		return table.PaymentStarted{Payment: f.Payment, Asked: f.Asked, Memory: f.Memory, At: when(f.At, r.At)}, err
	case kindPaymentTaken:
		f, err := decode[paymentTakenForm](r)
		return table.PaymentTaken{Payment: f.Payment, Receipt: f.Receipt.receipt(), At: when(f.At, r.At)}, err
	case kindPaymentNotTaken:
		f, err := decode[paymentNotTakenForm](r)
		return table.PaymentNotTaken{Payment: f.Payment, At: when(f.At, r.At)}, err
	case kindPaymentResolved:
		f, err := decode[paymentResolvedForm](r)
		return table.PaymentResolved{Payment: f.Payment, Taken: f.Taken, Receipt: f.Receipt.receipt(), By: f.By, Reason: masked(f.Reason), At: when(f.At, r.At)}, err
	case kindLeft:
		why, at, err := decodeWhy(r)
		return table.Left{Why: why, At: at}, err
	case kindTerminalLost:
		at, err := decodeTimed(r)
		return table.TerminalLost{At: at}, err
	case kindTerminalBack:
		at, err := decodeTimed(r)
		return table.TerminalBack{At: at}, err
	case kindQueued:
		f, err := decode[queuedForm](r)
		return table.Queued{Notice: f.Notice, Payments: f.Payments, At: when(f.At, r.At)}, err
	case kindDelivered:
		f, err := decode[deliveredForm](r)
		return table.Delivered{N: f.N, At: when(f.At, r.At)}, err
	case kindRequeued:
		f, err := decode[visitRequeuedForm](r)
		return table.Requeued{N: f.N, By: f.By, Reason: masked(f.Reason), At: when(f.At, r.At)}, err
	}
	return nil, unknownKind(r)
}

// ReplayTable returns the visit that the records tell of.
func ReplayTable(records []Record) (table.Visit, error) {
	return replay(records, DecodeTable, table.Apply)
}

// EncodeDuplicate is EncodeTxn for the events of a duplicate.
func EncodeDuplicate(e txn.DuplicateEvent, at time.Time) Record {
	at = utc(at)
	switch e := e.(type) {
	case txn.DuplicateWanted:
		return encode(kindDuplicateWanted, at, duplicateWantedForm{e.ID, e.Site, e.TID, callerForm(e.Caller), maskedAll(e.Deviations), own(e.At, at)})
	case txn.DuplicateFound:
		f := duplicateFoundForm{At: own(e.At, at)}
		if e.Outcome != nil {
			outcome := formOutcome(*e.Outcome)
			f.Outcome = &outcome
		}
		return encode(kindDuplicateFound, at, f)
	default:
		panic(fmt.Sprintf("journal: no kind for %T", e))
	}
}

// DecodeDuplicate is DecodeTxn for the events of a duplicate.
func DecodeDuplicate(r Record) (txn.DuplicateEvent, error) {
	switch r.Kind {
	case kindDuplicateWanted:
		f, err := decode[duplicateWantedForm](r)
		return txn.DuplicateWanted{ID: f.ID, Site: f.Site, TID: f.TID, Caller: txn.Caller(f.Caller), Deviations: maskedAll(f.Deviations), At: when(f.At, r.At)}, err
	case kindDuplicateFound:
		f, err := decode[duplicateFoundForm](r)
		e := txn.DuplicateFound{At: when(f.At, r.At)}
		if f.Outcome != nil {
			outcome := f.Outcome.outcome()
			e.Outcome = &outcome
		}
		return e, err
	}
	return nil, unknownKind(r)
}

// ReplayDuplicate returns the duplicate that the records tell of.
func ReplayDuplicate(records []Record) (txn.Duplicate, error) {
	return replay(records, DecodeDuplicate, txn.ApplyDuplicate)
}

// replay applies what the records tell to a value that has not begun. Its error
// names the record, and comes with the value as it stood before.
func replay[V, E any](records []Record, decode func(Record) (E, error), apply func(V, E) (V, error)) (V, error) {
	var v V
	for i, r := range records {
		e, err := decode(r)
		if err == nil {
			v, err = apply(v, e)
		}
		if err != nil {
			return v, fmt.Errorf("journal: record %d: %w", i+1, err)
		}
	}
	return v, nil
}

// An Orphan is what a terminal said of a request that nobody here knows. One
// of Outcome and Report is set.
type Orphan struct {
	ID      txn.RequestID // by the terminal's word
	Site    txn.SiteID    // of the terminal
	TID     txn.TID
	Outcome *txn.Outcome
	Report  *report.Report
}

// EncodeOrphan returns the one record of an orphan's stream.
func EncodeOrphan(o Orphan, at time.Time) Record {
	f := orphanForm{ID: o.ID, Site: o.Site, TID: o.TID}
	if o.Outcome != nil {
		outcome := formOutcome(*o.Outcome)
		f.Outcome = &outcome
	}
	if o.Report != nil {
		report := formReport(*o.Report)
		f.Report = &report
	}
	return encode(kindOrphan, utc(at), f)
}

// DecodeOrphan is EncodeOrphan read back.
func DecodeOrphan(r Record) (Orphan, error) {
	if r.Kind != kindOrphan {
		return Orphan{}, unknownKind(r)
	}
	f, err := decode[orphanForm](r)
	o := Orphan{ID: f.ID, Site: f.Site, TID: f.TID}
	if f.Outcome != nil {
		outcome := f.Outcome.outcome()
		o.Outcome = &outcome
	}
	if f.Report != nil {
		report := f.Report.report()
		o.Report = &report
	}
	return o, err
}

func unknownKind(r Record) error {
	return fmt.Errorf("journal: a record of the unknown kind %q; perhaps a newer tillwire wrote it", r.Kind)
}

// encode never fails: the forms hold nothing that JSON cannot say, and text
// that is not UTF-8, which no decoder of ours lets in, is replaced.
func encode(kind string, at time.Time, form any) Record {
	body, err := json.Marshal(form, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	if err != nil {
		panic(fmt.Sprintf("journal: %s: %v", kind, err))
	}
	return Record{Kind: kind, Version: version, At: at, Body: body}
}

func encodeTimed(kind string, at, event time.Time) Record {
	t := own(event, at)
	if t == nil {
		return Record{Kind: kind, Version: version, At: at, Body: []byte("{}")}
	}
	return encode(kind, at, timed{t})
}

func decodeTimed(r Record) (time.Time, error) {
	f, err := decode[timed](r)
	return when(f.At, r.At), err
}

func decodeWhy(r Record) (why string, at time.Time, err error) {
	f, err := decode[whyForm](r)
	return masked(f.Why), when(f.At, r.At), err
}

// decode reads a body strictly: a member that this version does not have is
// somebody else's writing.
func decode[F any](r Record) (F, error) { return decodeUpTo[F](r, version) }

// decodeUpTo is decode for a form of which a newer version is known.
func decodeUpTo[F any](r Record, newest int) (F, error) {
	var f F
	if r.Version > newest {
		return f, &NewerError{Kind: r.Kind, Version: r.Version}
	}
	if r.Version < 1 {
		return f, fmt.Errorf("journal: a record of kind %q has version %d", r.Kind, r.Version)
	}
	if err := json.Unmarshal(r.Body, &f, json.RejectUnknownMembers(true)); err != nil {
		return f, fmt.Errorf("journal: a record of kind %q: %w", r.Kind, err)
	}
	return f, nil
}
