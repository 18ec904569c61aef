package worker

import (
	"context"

	"github.com/sourcegraph/appliance/cmd/demo/internal/extsvc"
)

// syncServices makes the repositories those of the code hosts' configurations. One that cannot be read keeps what it has and shows why.
func (s *Scheduler) syncServices(ctx context.Context) error {
	services, err := s.DB.ExternalServices(ctx)
	if err != nil {
		return err
	}
	for _, service := range services {
		if err := s.DB.SyncExternalService(ctx, service.ID, extsvc.Parse); err != nil {
			return err
		}
	}
	return nil
}
