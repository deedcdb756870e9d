// Command cronjob answers what Kubernetes' CronJob controller does: the reference of teasel's own schedules
// (crates/operator/tests/cronjob).
//
// Each line of the input is a question: a CronJob, its jobs and the time. It is answered by one line: what one sync of
// the controller, in the version that the cluster of the tests runs, creates, deletes and records. It holds nothing
// from one question to the next, so that any history can be asked about.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"log"
	"os"
	"reflect"
	"time"
	_ "time/tzdata"
	"unsafe"

	cronschedule "github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/cronjob"
	"k8s.io/kubernetes/pkg/util/parsers"
)

// What the package doesn't export: one pass of the controller, as its queue starts it, and its search for the tick
// that is due. Of an overlay, which could export them, Go wants nothing within its module cache.
//
//go:linkname syncOnce k8s.io/kubernetes/pkg/controller/cronjob.(*ControllerV2).sync
func syncOnce(controller *cronjob.ControllerV2, ctx context.Context, key string) (*time.Duration, error)

//go:linkname mostRecent k8s.io/kubernetes/pkg/controller/cronjob.mostRecentScheduleTime
func mostRecent(cronJob *batchv1.CronJob, now time.Time, schedule cronschedule.Schedule, withDeadline bool) (time.Time, *time.Time, int, error)

// reference is the controller, and what it sees.
type reference struct {
	controller *cronjob.ControllerV2
	api        *server
	cronJobs   cache.Indexer
	jobs       cache.Indexer
	now        time.Time
}

func newReference(ctx context.Context) (*reference, error) {
	reference := &reference{api: &server{}}
	// They are never started: what they hold is put there.
	batch := informers.NewSharedInformerFactory(client{server: reference.api}, 0).Batch().V1()
	controller, err := cronjob.NewControllerV2(ctx, batch.Jobs(), batch.CronJobs(), client{server: reference.api})
	if err != nil {
		return nil, err
	}
	clock := reflect.ValueOf(controller).Elem().FieldByName("now")
	*(*func() time.Time)(unsafe.Pointer(clock.UnsafeAddr())) = func() time.Time { return reference.now }
	reference.controller = controller
	reference.cronJobs = batch.CronJobs().Informer().GetIndexer()
	reference.jobs = batch.Jobs().Informer().GetIndexer()
	return reference, nil
}

func (r *reference) answer(ctx context.Context, question *question) (*answer, error) {
	cronJob := question.cronJob()
	*r.api = server{cronJob: cronJob, jobs: map[string]*batchv1.Job{}}
	jobs := []any{}
	for _, job := range question.Jobs {
		object := job.object(cronJob)
		jobs = append(jobs, object)
		r.api.jobs[job.Name] = object
	}
	if err := r.cronJobs.Replace([]any{cronJob}, ""); err != nil {
		return nil, err
	}
	if err := r.jobs.Replace(jobs, ""); err != nil {
		return nil, err
	}
	r.now = time.UnixMilli(question.Now)
	schedule, err := parsers.ParseCronScheduleWithPanicRecovery("TZ=" + question.Zone + " " + question.Schedule)
	if err != nil {
		return nil, err
	}
	_, found, missed, err := mostRecent(cronJob, r.now, schedule, true)
	if err != nil {
		return nil, err
	}
	after, err := syncOnce(r.controller, ctx, cronJob.Namespace+"/"+cronJob.Name)
	if err != nil {
		return nil, err
	}
	answer := r.api.answer()
	answer.Lost = found == nil && missed != 0
	if after != nil {
		milliseconds := after.Milliseconds()
		answer.After = &milliseconds
	}
	return answer, nil
}

func main() {
	ctx := klog.NewContext(context.Background(), klog.Logger{})
	reference, err := newReference(ctx)
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	output := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		question := &question{}
		if err := json.Unmarshal(lines.Bytes(), question); err != nil {
			log.Fatal(err)
		}
		answer, err := reference.answer(ctx, question)
		if err != nil {
			log.Fatalf("%s: %v", lines.Text(), err)
		}
		if err := output.Encode(answer); err != nil {
			log.Fatal(err)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}
