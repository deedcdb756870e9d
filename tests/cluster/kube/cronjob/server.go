package main

import (
	"context"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	typed "k8s.io/client-go/kubernetes/typed/batch/v1"
)

// server is as much of an API server as a sync asks for, and remembers what was asked of it.
type server struct {
	cronJob *batchv1.CronJob
	jobs    map[string]*batchv1.Job
	created []string
	deleted []string
}

func (s *server) answer() *answer {
	answer := &answer{Created: s.created, Deleted: s.deleted, Active: []string{}}
	if last := s.cronJob.Status.LastScheduleTime; last != nil {
		seconds := last.Unix()
		answer.Last = &seconds
	}
	for _, job := range s.cronJob.Status.Active {
		answer.Active = append(answer.Active, job.Name)
	}
	return answer
}

// client is a clientset of it. Whatever else the controller would call ends in a panic.
type client struct {
	kubernetes.Interface
	server *server
}

func (c client) BatchV1() typed.BatchV1Interface { return batch{server: c.server} }

type batch struct {
	typed.BatchV1Interface
	server *server
}

func (b batch) CronJobs(string) typed.CronJobInterface { return cronJobs{server: b.server} }
func (b batch) Jobs(string) typed.JobInterface         { return jobs{server: b.server} }

type cronJobs struct {
	typed.CronJobInterface
	server *server
}

func (c cronJobs) Get(context.Context, string, metav1.GetOptions) (*batchv1.CronJob, error) {
	return c.server.cronJob.DeepCopy(), nil
}

func (c cronJobs) UpdateStatus(_ context.Context, cronJob *batchv1.CronJob, _ metav1.UpdateOptions) (*batchv1.CronJob, error) {
	c.server.cronJob = cronJob
	return cronJob, nil
}

type jobs struct {
	typed.JobInterface
	server *server
}

func (j jobs) Get(_ context.Context, name string, _ metav1.GetOptions) (*batchv1.Job, error) {
	if job, found := j.server.jobs[name]; found {
		return job.DeepCopy(), nil
	}
	return nil, errors.NewNotFound(batchv1.Resource("jobs"), name)
}

func (j jobs) Create(_ context.Context, job *batchv1.Job, _ metav1.CreateOptions) (*batchv1.Job, error) {
	if _, found := j.server.jobs[job.Name]; found {
		return nil, errors.NewAlreadyExists(batchv1.Resource("jobs"), job.Name)
	}
	job = job.DeepCopy()
	job.Namespace = namespace
	job.UID = types.UID(job.Name)
	j.server.jobs[job.Name] = job
	j.server.created = append(j.server.created, job.Name)
	return job, nil
}

func (j jobs) Delete(_ context.Context, name string, _ metav1.DeleteOptions) error {
	if _, found := j.server.jobs[name]; !found {
		return errors.NewNotFound(batchv1.Resource("jobs"), name)
	}
	delete(j.server.jobs, name)
	j.server.deleted = append(j.server.deleted, name)
	return nil
}
