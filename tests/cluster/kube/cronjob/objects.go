package main

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// Of the CronJob, and of all jobs.
const (
	namespace = "media"
	name      = "films"
)

// question is a CronJob with its status, its jobs, and the time. Now is in milliseconds since 1970, other times are in
// seconds.
type question struct {
	Now       int64
	Created   int64
	Schedule  string
	Zone      string
	Policy    batchv1.ConcurrencyPolicy
	Deadline  *int64
	Suspend   bool
	Succeeded int32
	Failed    int32
	Last      *int64
	Active    []string
	Jobs      []job
}

// job is a job that the CronJob controls. Without an end it runs.
type job struct {
	Name      string
	Started   int64
	Ended     *int64
	Succeeded bool
}

// answer is what a sync does: names of jobs that it creates and deletes, and the status that is there afterwards.
type answer struct {
	Created []string `json:"created"`
	Deleted []string `json:"deleted"`
	Last    *int64   `json:"last"`
	Active  []string `json:"active"`
	// Milliseconds until the next sync.
	After *int64 `json:"after"`
	// Whether it knows that ticks were missed, and yet finds none of them.
	Lost bool `json:"lost"`
}

func (q *question) cronJob() *batchv1.CronJob {
	active := []corev1.ObjectReference{}
	for _, name := range q.Active {
		active = append(active, corev1.ObjectReference{Namespace: namespace, Name: name, UID: types.UID(name)})
	}
	created := moment(&q.Created)
	return &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "parent", CreationTimestamp: *created},
		Spec: batchv1.CronJobSpec{
			Schedule:                   q.Schedule,
			TimeZone:                   &q.Zone,
			ConcurrencyPolicy:          q.Policy,
			StartingDeadlineSeconds:    q.Deadline,
			Suspend:                    &q.Suspend,
			SuccessfulJobsHistoryLimit: &q.Succeeded,
			FailedJobsHistoryLimit:     &q.Failed,
		},
		Status: batchv1.CronJobStatus{Active: active, LastScheduleTime: moment(q.Last)},
	}
}

// object makes the job. A job's name is its UID too.
func (j *job) object(owner *batchv1.CronJob) *batchv1.Job {
	kind := batchv1.SchemeGroupVersion.WithKind("CronJob")
	object := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       namespace,
			Name:            j.Name,
			UID:             types.UID(j.Name),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, kind)},
		},
		Status: batchv1.JobStatus{StartTime: moment(&j.Started)},
	}
	if j.Ended != nil {
		condition := batchv1.JobFailed
		if j.Succeeded {
			condition = batchv1.JobComplete
			object.Status.CompletionTime = moment(j.Ended)
		}
		object.Status.Conditions = []batchv1.JobCondition{{Type: condition, Status: corev1.ConditionTrue}}
	}
	return object
}

func moment(seconds *int64) *metav1.Time {
	if seconds == nil {
		return nil
	}
	return ptr.To(metav1.NewTime(time.Unix(*seconds, 0)))
}
