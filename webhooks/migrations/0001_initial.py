from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="WebhookEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("svix_id", models.CharField(max_length=255)),
                ("type", models.CharField(max_length=100)),
                ("clerk_id", models.CharField(blank=True, max_length=64, null=True)),
                ("occurred_at", models.DateTimeField(help_text="When it happened, by the event's own time.")),
                ("received_at", models.DateTimeField(help_text="When it was first delivered.")),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("created", "Created"),
                            ("updated", "Updated"),
                            ("unchanged", "Unchanged"),
                            ("stale", "Stale"),
                            ("deleted", "Deleted"),
                            ("ignored", "Ignored"),
                            ("rejected", "Rejected"),
                            ("failed", "Failed"),
                        ],
                        max_length=10,
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=1)),
                ("error_code", models.CharField(blank=True, default="", max_length=64)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["clerk_id"], name="webhook_event_clerk_id"),
                    models.Index(fields=["received_at"], name="webhook_event_received_at"),
                    models.Index(
                        condition=models.Q(("outcome__in", ["failed", "rejected"])),
                        fields=["outcome"],
                        name="webhook_event_trouble",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("svix_id",), name="one_row_per_webhook_event")
                ],
            },
        ),
    ]
